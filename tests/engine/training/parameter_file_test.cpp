#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <system_error>

#include "engine/graph/diagnostics.h"
#include "engine/training/checkpoint.h"
#include "tests/engine/training/temporary_folder.h"

using namespace lenet_flow;

namespace {

/// A file as the format describes it, put together by hand.
std::string safetensors(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + header + data;
}

template <typename Number>
std::string bytes_of(std::initializer_list<Number> numbers) {
  return {reinterpret_cast<const char*>(numbers.begin()), numbers.size() * sizeof(Number)};
}

ParameterFile small_file() {
  ParameterFile file;
  file.tensors = {{"b.weight", {2, 3}, {1, 2, 3, 4, 5, 6}}, {"a.bias", {1}, {0.1f}}, {"b.weight#momentum", {0}, {}}};
  file.metadata = {{"lenet-flow.graph", "a \"quoted\"\nname, ü"}};
  return file;
}

/// What reading the bytes says is wrong; empty where nothing is.
std::string problem(const std::string& bytes) {
  static const TemporaryFolder folder;
  const auto path = folder / "p.safetensors";
  write_bytes(path, bytes);
  try {
    read_parameter_file(path);
    return "";
  } catch (const InputError& error) {
    const std::string text = error.what();
    CHECK(text.find(path.string()) == 0);
    CHECK(text.find('\n') == std::string::npos);
    return text.substr(path.string().size());
  }
}

std::uint32_t bits(float value) { return std::bit_cast<std::uint32_t>(value); }

bool says(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE("'" << part << "' is not in: " << text);
  return found;
}

}  // namespace

TEST_CASE("a parameter file comes back bit for bit") {
  const TemporaryFolder folder;
  ParameterFile file = small_file();
  file.tensors[0].values = {-0.0f, INFINITY, std::numeric_limits<float>::denorm_min(), 1e-38f, 3.4e38f, NAN};
  const auto path = folder / "p.safetensors";
  write_parameter_file(path, file);
  const ParameterFile back = read_parameter_file(path);
  REQUIRE(back.tensors.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(back.tensors[i].name == file.tensors[i].name);
    CHECK(back.tensors[i].shape == file.tensors[i].shape);
    CHECK(std::ranges::equal(back.tensors[i].values, file.tensors[i].values, {}, bits, bits));
  }
  CHECK(back.metadata == file.metadata);
  CHECK(folder.files() == 1);
}

TEST_CASE("a parameter file is laid out as the format says") {
  const TemporaryFolder folder;
  const auto path = folder / "p.safetensors";
  write_parameter_file(path, {{{"w", {2}, {1.0f, 2.0f}}}, {}});
  const std::string bytes = read_bytes(path);
  std::uint64_t length = 0;
  REQUIRE(bytes.size() > 8);
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(bytes.size() == 8 + length + 8);
  CHECK(bytes[8] == '{');
  CHECK(bytes.substr(8 + length) == bytes_of<float>({1.0f, 2.0f}));
  CHECK(says(bytes, R"("data_offsets":[0,8])"));
  CHECK(says(bytes, R"("dtype":"F32")"));
}

TEST_CASE("other number formats become float") {
  const TemporaryFolder folder;
  const auto path = folder / "p.safetensors";
  // 1, -2, the smallest half, the largest half, infinity; bfloat16 1 and -3; doubles.
  const std::string half = bytes_of<std::uint16_t>({0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x0400, 0x8000, 0x7e00});
  const std::string brain = bytes_of<std::uint16_t>({0x3f80, 0xc040});
  const std::string doubles = bytes_of<double>({0.1, -1e300});
  write_bytes(path, safetensors(R"({"h":{"dtype":"F16","shape":[2,4],"data_offsets":[0,16]},)"
                                R"("b":{"dtype":"BF16","shape":[2],"data_offsets":[16,20]},)"
                                R"("d":{"dtype":"F64","shape":[2],"data_offsets":[20,36]}})",
                                half + brain + doubles));
  const ParameterFile file = read_parameter_file(path);
  REQUIRE(file.tensors.size() == 3);
  const auto& h = file.tensors[0].values;
  CHECK(h[0] == 1.0f);
  CHECK(h[1] == -2.0f);
  CHECK(h[2] == std::ldexp(1.0f, -24));
  CHECK(h[3] == 65504.0f);
  CHECK(std::isinf(h[4]));
  CHECK(h[5] == std::ldexp(1.0f, -14));
  CHECK(std::signbit(h[6]));
  CHECK(h[6] == 0.0f);
  CHECK(std::isnan(h[7]));
  CHECK(file.tensors[1].values == std::vector<float>{1.0f, -3.0f});
  CHECK(file.tensors[2].values[0] == 0.1f);
  CHECK(file.tensors[2].values[1] == -INFINITY);
  CHECK(file.tensors[2].shape == std::vector<std::int64_t>{2});
}

TEST_CASE("tensors are read in the order of their data, whatever the header's order") {
  const TemporaryFolder folder;
  const auto path = folder / "p.safetensors";
  write_bytes(path, safetensors(R"({"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]},)"
                                R"("z":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}   )",
                                bytes_of<float>({7.0f, 8.0f})));
  const ParameterFile file = read_parameter_file(path);
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.tensors[0].name == "z");
  CHECK(file.tensors[0].values == std::vector<float>{7.0f});
  CHECK(file.tensors[1].shape.empty());
  CHECK(file.tensors[1].values == std::vector<float>{8.0f});
}

TEST_CASE("PyTorch's counter of batches is passed over, other whole numbers are not") {
  const TemporaryFolder folder;
  const auto path = folder / "p.safetensors";
  write_bytes(path, safetensors(R"({"n.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                                R"("n.weight":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}})",
                                bytes_of<std::int64_t>({5}) + bytes_of<float>({2.0f})));
  const ParameterFile file = read_parameter_file(path);
  REQUIRE(file.tensors.size() == 1);
  CHECK(file.tensors[0].values == std::vector<float>{2.0f});
  CHECK(says(problem(safetensors(R"({"w":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", std::string(8, '\0'))),
             "tensor 'w' is of type 'I64'; F32, F64, F16 and BF16 can be read"));
}

TEST_CASE("every truncation of a file is refused") {
  const TemporaryFolder folder;
  write_parameter_file(folder / "whole.safetensors", small_file());
  const std::string whole = read_bytes(folder / "whole.safetensors");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    INFO("cut to " << length << " of " << whole.size() << " bytes");
    CHECK(problem(whole.substr(0, length)) != "");
  }
  CHECK(says(problem(whole.substr(0, whole.size() - 1)), "truncated"));
  CHECK(says(problem(""), "is 0 bytes long"));
  CHECK(says(problem(whole + "x"), "1 bytes after its last tensor"));
}

TEST_CASE("a header that lies is refused with what is wrong") {
  const std::string four(4, '\0'), eight(8, '\0');
  const auto tensor = [](const std::string& rest) { return "{\"w\":" + rest + "}"; };
  struct Lie {
    std::string bytes, says;
  };
  const Lie lies[] = {
      {bytes_of<std::uint64_t>({~std::uint64_t{0}}) + "{}", "18446744073709551615 bytes long"},
      {bytes_of<std::uint64_t>({3}) + "{}", "header is 3 bytes long"},
      {safetensors("", ""), "does not begin with '{'"},
      {safetensors("hello, world", ""), "does not begin with '{'"},
      {safetensors("[]", ""), "does not begin with '{'"},
      {safetensors("{\"w\":", ""), "not the JSON"},
      {safetensors("{} {}", ""), "not the JSON"},
      {safetensors("{} /* a comment */", ""), "not the JSON"},
      {safetensors(tensor("1"), ""), "is not described by an object"},
      {safetensors(tensor("{}"), ""), "has no \"dtype\""},
      {safetensors(tensor(R"({"dtype":"F32"})"), ""), "has no \"shape\""},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1]})"), four), "has no \"data_offsets\""},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), four), "has no \"data_offsets\""},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4,8]})"), four), "has no \"data_offsets\""},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})"), four), "has no \"data_offsets\""},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), four), "ends before it begins"},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})"), eight),
       "has 8 bytes of data, its shape and type need 4"},
      {safetensors(tensor(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), four), "not a list of sizes"},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1.5],"data_offsets":[0,4]})"), four), "not a list of sizes"},
      {safetensors(tensor(R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})"), four), "not a list of sizes"},
      {safetensors(tensor(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})"), ""),
       "more elements than can be counted"},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4000000000000]})"), four),
       "truncated"},
      {safetensors(tensor(R"({"dtype":"Q7","shape":[1],"data_offsets":[0,4]})"), four), "is of type 'Q7'"},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1})"), four), "unknown key 'x'"},
      {safetensors(tensor(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), eight), "leaves 4 bytes before it"},
      {safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                   R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                   eight),
       "tensor 'b' overlaps"},
      {safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                   R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                   eight),
       "Duplicate key"},
      {safetensors(R"({"__metadata__":{"a":1}})", ""), "'a' is not a text"},
      {safetensors(R"({"__metadata__":[]})", ""), "not an object of texts"},
  };
  for (const Lie& lie : lies) {
    INFO(lie.bytes.substr(8));
    CHECK(says(problem(lie.bytes), lie.says));
  }
}

TEST_CASE("deep nesting, long headers and wild names harm nobody") {
  std::string deep = "{\"w\":";
  for (int i = 0; i < 1'000'000; ++i) deep += '[';
  CHECK(says(problem(safetensors(deep, "")), "nested too deep"));
  CHECK(says(problem(safetensors("{" + std::string(9 << 20, ' ') + "}", "")), "at most 8388608 are read"));
  const std::string wild = "{\"\\u001b[31m" + std::string(10'000, 'x') + "\":1}";
  const std::string text = problem(safetensors(wild, ""));
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.size() < 1000);
}

TEST_CASE("a changed byte anywhere is read as another file or refused, never worse") {
  const TemporaryFolder folder;
  write_parameter_file(folder / "whole.safetensors", small_file());
  const std::string whole = read_bytes(folder / "whole.safetensors");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {1, 4, 128}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      problem(bytes);  // fails the test where another exception comes out
    }
  }
}

TEST_CASE("what is not a file is refused at once") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(read_parameter_file(folder / "nothing"),
                       ((folder / "nothing").string() + ": there is no such file").c_str(), InputError);
  CHECK_THROWS_WITH_AS(read_parameter_file(folder.path()),
                       (folder.path().string() + ": is a folder, not a parameter file (safetensors)").c_str(),
                       InputError);
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(read_parameter_file(folder / "pipe"), InputError);
}

TEST_CASE("a write that fails leaves the old file and nothing else") {
  const TemporaryFolder folder;
  const auto path = folder / "p.safetensors";
  write_parameter_file(path, small_file());
  const std::string before = read_bytes(path);
  ParameterFile large;
  large.tensors = {{"w", {100'000}, std::vector<float>(100'000, 1.0f)}};

  // A full disk, played by a limit on the size of files.
  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{50'000, old.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    write_parameter_file(path, large);
  } catch (const std::system_error& error) {
    message = error.what();
  }
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, old_handler);

  CHECK(says(message, path.string()));
  CHECK(read_bytes(path) == before);
  CHECK(folder.files() == 1);
  CHECK_THROWS_AS(write_parameter_file(folder / "no/such/folder.safetensors", small_file()), std::system_error);
  CHECK_THROWS_AS(write_parameter_file(folder.path(), small_file()), std::system_error);
  CHECK(folder.files() == 1);
}

TEST_CASE("SHA-256 of known texts (FIPS 180-2, appendix B)") {
  const auto digest = [](std::string_view text) { return sha256(std::as_bytes(std::span(text))); };
  CHECK(digest("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
