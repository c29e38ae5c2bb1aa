// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#ifndef BITCOIN_TEST_PODL_FULL_DISK_H
#define BITCOIN_TEST_PODL_FULL_DISK_H

#include <boost/test/unit_test.hpp>

#include <csignal>
#include <sys/resource.h>

namespace podl::test {

/** While it lives no file grows above a size, as on a full disk: the write that crosses it is torn. */
class FullDisk
{
public:
    explicit FullDisk(rlim_t bytes)
    {
        std::signal(SIGXFSZ, SIG_IGN);
        BOOST_REQUIRE_EQUAL(getrlimit(RLIMIT_FSIZE, &m_before), 0);
        const rlimit limit{bytes, m_before.rlim_max};
        BOOST_REQUIRE_EQUAL(setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
    ~FullDisk() { setrlimit(RLIMIT_FSIZE, &m_before); }

    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

private:
    rlimit m_before{};
};

} // namespace podl::test

#endif // BITCOIN_TEST_PODL_FULL_DISK_H
