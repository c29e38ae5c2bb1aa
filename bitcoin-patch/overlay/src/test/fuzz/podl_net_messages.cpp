// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <podl/net_messages.h>

#include <test/fuzz/FuzzedDataProvider.h>
#include <test/fuzz/fuzz.h>

#include <cassert>
#include <vector>

namespace {

/** Whatever is understood is the only encoding of what it means. */
template <typename Message>
void CheckMessage(const podl::Bytes& payload)
{
    if (const auto message{podl::ParseMessage<Message>(payload)}) assert(podl::ToBytes(*message) == payload);
}

} // namespace

FUZZ_TARGET(podl_net_messages)
{
    FuzzedDataProvider provider{buffer.data(), buffer.size()};
    const int type{provider.ConsumeIntegralInRange(0, 5)};
    const auto payload{provider.ConsumeRemainingBytes<unsigned char>()};
    if (type == 0) CheckMessage<podl::HandshakeMessage>(payload);
    if (type == 1) CheckMessage<podl::InvMessage>(payload);
    if (type == 2) CheckMessage<podl::GetDataMessage>(payload);
    if (type == 3) CheckMessage<podl::DataMessage>(payload);
    if (type == 4) CheckMessage<podl::GetScheduleMessage>(payload);
    if (type == 5) CheckMessage<podl::ScheduleMessage>(payload);
}
