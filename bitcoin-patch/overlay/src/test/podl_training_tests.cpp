// Copyright (c) The PoDL developers
// Distributed under the MIT software license, see the accompanying
// file COPYING or http://www.opensource.org/licenses/mit-license.php.

#include <crypto/common.h>
#include <crypto/sha256.h>
#include <podl/merkle.h>
#include <podl/program.h>
#include <test/podl_arithmetic.h>
#include <test/podl_training.h>
#include <test/podl_vectors.h>
#include <uint256.h>
#include <univalue.h>

#include <boost/test/unit_test.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace podl;
using namespace podl::test;

namespace {

using Bytes = std::vector<unsigned char>;

template <size_t Size>
void Append(Bytes& out, int64_t value)
{
    for (size_t i{0}; i < Size; ++i) out.push_back(static_cast<unsigned char>(value >> (8 * i)));
}

uint256 Sha256(const Bytes& bytes)
{
    uint256 hash;
    CSHA256().Write(bytes.data(), bytes.size()).Finalize(hash.begin());
    return hash;
}

/** What a model is hashed as: shape and masters of each layer (arithmetic.md 1.1). */
uint256 ModelHash(const std::vector<Matrix>& matrices)
{
    Bytes bytes;
    for (const Matrix& matrix : matrices) {
        Append<4>(bytes, matrix.rows);
        Append<4>(bytes, matrix.columns);
        for (const int64_t master : matrix.masters) Append<4>(bytes, master);
    }
    return Sha256(bytes);
}

/** One field of all matrices as integers of Size bytes. */
template <size_t Size>
Bytes Flat(const std::vector<Matrix>& matrices, Values Matrix::*field)
{
    Bytes bytes;
    for (const Matrix& matrix : matrices) {
        for (const int64_t value : matrix.*field) Append<Size>(bytes, value);
    }
    return bytes;
}

/** Masters that a training starts from: the parent's bytes, 2^16 times a rule of weights, or the seed's. */
std::vector<Matrix> Start(const Program& program, const UniValue& vector, std::span<const unsigned char> seed)
{
    const UniValue& parent{vector["parent"]};
    if (parent.isNull()) return InitialMatrices(program, seed);
    Values masters;
    if (parent.isStr()) {
        const Bytes bytes{HexBytes(parent)};
        for (size_t i{0}; i < bytes.size(); i += 4) masters.push_back(static_cast<int32_t>(ReadLE32(&bytes[i])));
    } else {
        for (const unsigned char weight : Operand(parent, program.n_params)) masters.push_back(int64_t{static_cast<int8_t>(weight)} << 16);
    }
    BOOST_REQUIRE_EQUAL(masters.size(), program.n_params);
    std::vector<Matrix> matrices;
    auto next{masters.begin()};
    for (const LayerPlan& plan : program.layers) {
        if (plan.fan_in == 0) continue;
        const auto end{next + (size_t{plan.fan_in} + 1) * plan.columns};
        matrices.emplace_back(plan, Values(next, end));
        next = end;
    }
    return matrices;
}

} // namespace

BOOST_AUTO_TEST_SUITE(podl_training_tests)

BOOST_AUTO_TEST_CASE(vectors_of_the_generator)
{
    const UniValue vectors{LoadVectors("arithmetic.json")};
    for (const UniValue& vector : Cases(vectors, "words")) {
        const auto expected{Integers<uint32_t>(vector["words"])};
        const auto words{GeneratorWords(HexBytes(vector["seed"]), vector["tag"].get_str(), expected.size())};
        BOOST_CHECK_EQUAL_COLLECTIONS(words.begin(), words.end(), expected.begin(), expected.end());
    }
    for (const UniValue& vector : Cases(vectors, "orders")) {
        const auto expected{Integers<uint64_t>(vector["order"])};
        const auto order{DrawnOrder(HexBytes(vector["seed"]), vector["tag"].get_str(), expected.size())};
        BOOST_CHECK_EQUAL_COLLECTIONS(order.begin(), order.end(), expected.begin(), expected.end());
    }
}

BOOST_AUTO_TEST_CASE(vectors_of_the_table)
{
    Bytes bytes;
    for (const int64_t value : SoftmaxTable()) Append<4>(bytes, value);
    BOOST_CHECK_EQUAL(Sha256(bytes), H32(LoadVectors("arithmetic.json")["table_sha256"]));
}

BOOST_AUTO_TEST_CASE(vectors_of_rounding)
{
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "rounding")) {
        BOOST_CHECK_EQUAL(Rnd(vector["value"].getInt<int64_t>(), vector["shift"].getInt<int>()), vector["result"].getInt<int64_t>());
    }
}

BOOST_AUTO_TEST_CASE(vectors_of_first_weights)
{
    const UniValue vectors{LoadVectors("arithmetic.json")};
    for (const UniValue& vector : Cases(vectors, "scales")) {
        const auto limit{InitialLimit(vector["fan_in"].getInt<uint64_t>(), vector["gain"].getInt<int>(), vector["f"].getInt<int>())};
        BOOST_CHECK_EQUAL(limit, vector["init_limit"].getInt<int64_t>());
    }
    for (const UniValue& vector : Cases(vectors, "initial")) {
        const auto program{OwnProgram(HexBytes(vector["program"]))};
        BOOST_CHECK_EQUAL(ModelHash(InitialMatrices(program, HexBytes(vector["seed"]))), H32(vector["hash"]));
    }
}

BOOST_AUTO_TEST_CASE(vectors_of_trainings)
{
    for (const UniValue& vector : Cases(LoadVectors("arithmetic.json"), "training")) {
        BOOST_TEST_CONTEXT(vector["case"].get_str())
        {
            const auto program{OwnProgram(HexBytes(vector["program"]))};
            const TrainingSettings settings{
                .batch_log2 = vector["batch_log2"].getInt<uint8_t>(),
                .epochs = vector["epochs"].getInt<uint8_t>(),
                .rate_shift = vector["rate_shift"].getInt<uint8_t>(),
                .drop = vector["drop"].get_bool(),
                .seed = HexBytes(vector["seed"]),
            };
            const Bytes samples{Operand(vector["samples"], vector["n"].getInt<size_t>() * program.SampleSize())};
            const Bytes labels{HexBytes(vector["labels"])};
            auto matrices{Start(program, vector, settings.seed)};
            Train(program, settings, {samples, labels}, matrices);
            BOOST_CHECK_EQUAL(ModelHash(matrices), H32(vector["hash"]));
            BOOST_CHECK_EQUAL(DataRoot(Flat<1>(matrices, &Matrix::weights)), H32(vector["weights_root"]));
            BOOST_CHECK_EQUAL(DataRoot(Flat<4>(matrices, &Matrix::masters)), H32(vector["model_root"]));
            BOOST_CHECK_EQUAL(Sha256(Flat<8>(matrices, &Matrix::velocities)), H32(vector["velocities_sha256"]));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
