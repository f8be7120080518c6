// Files broken at random: whatever stands in a file, reading it ends soon, with a file or with an InputError.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

std::vector<std::string> shipped_texts() {
  std::vector<std::string> texts;
  for (const auto& entry : std::filesystem::directory_iterator(LENET_FLOW_GRAPHS)) {
    if (entry.path().extension() != ".json" || entry.path().filename() == "graph.schema.json") continue;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    texts.push_back(text.str());
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::string mutate(std::string text) {
    const int changes = 1 + static_cast<int>(random_() % 3);
    for (int i = 0; i < changes; ++i) change(text);
    return text;
  }

 private:
  std::size_t below(std::size_t count) { return count == 0 ? 0 : random_() % count; }

  /// [start, end) of a token: a number, a word or a quoted string.
  std::pair<std::size_t, std::size_t> token(const std::string& text) {
    std::size_t start = text.find_first_of("\"0123456789-tf", below(text.size()));
    if (start == std::string::npos) return {0, 0};
    std::size_t end = text[start] == '"' ? text.find('"', start + 1) : text.find_first_of(",]} \n", start);
    if (end == std::string::npos) end = text.size();
    return {start, std::min(text.size(), end + (text[start] == '"' ? 1 : 0))};
  }

  void change(std::string& text) {
    static const std::vector<std::string> values{
        "0",         "-1",         "1e308",   "1e999",     "99999999999999999999",
        "null",      "true",       "\"\"",    "[]",        "{}",
        "[0]",       "\"input\"",  "3.5",     "-0",        "\"conv1\"",
        "\"cpu0\"",  "2147483648", "1048576", "[1, 2, 3]", "{\"type\": \"relu\"}",
        "4294967296"};
    static const std::vector<std::string> bits{"{",    "}",    "[",    "]",    ",",       ":",
                                               "\"",   "\\",   "/*",   "//",   "\n",      std::string(1, '\0'),
                                               "\xff", "\xc3", "\x1b", "[[[[", "\\u0000", "e"};
    if (text.empty()) return;
    const std::size_t at = below(text.size());
    const auto [start, end] = token(text);
    switch (below(9)) {
      case 0: text[at] = static_cast<char>(random_()); break;
      case 1: text.insert(at, bits[below(bits.size())]); break;
      case 2: text.erase(at, 1 + below(8)); break;
      case 3: text.resize(at); break;
      case 4:
      case 5:
      case 6: text.replace(start, end - start, values[below(values.size())]); break;
      case 7: {  // one token in another's place
        const std::string taken = text.substr(start, end - start);
        const auto [other, other_end] = token(text);
        text.replace(other, other_end - other, taken);
        break;
      }
      default: {  // a line twice, elsewhere
        const std::size_t line = text.rfind('\n', at), next = text.find('\n', at);
        if (line == std::string::npos || next == std::string::npos) break;
        const std::size_t target = text.find('\n', below(text.size()));
        text.insert(target == std::string::npos ? 0 : target, text.substr(line, next - line));
      }
    }
  }

  std::mt19937 random_;
};

/// Reads and makes the network; true where both went well. Anything but an InputError comes out.
bool survives(const std::string& text, const GraphOptions& options = {}) {
  try {
    const GraphFile file = parse_graph_file(text, "g.json", options);
    make_network(file, file.data.set == "mnist" ? Shape{1, 28, 28} : Shape{3, 32, 32},
                 file.data.set == "cats-dogs" ? 2 : 10);
    return true;
  } catch (const InputError& error) {
    CHECK_FALSE(error.diagnostics().empty());
    for (const Diagnostic& diagnostic : error.diagnostics()) {
      CHECK_FALSE(diagnostic.message.empty());
      CHECK(diagnostic.text().find('\n') == std::string::npos);
      CHECK(diagnostic.text().find('\x1b') == std::string::npos);
    }
    return false;
  }
}

}  // namespace

TEST_CASE("Thousands of broken files: never anything but an InputError, never more than a second") {
  const std::vector<std::string> texts = shipped_texts();
  REQUIRE_FALSE(texts.empty());
  const char* given = std::getenv("LENET_FLOW_TEST_SEED");
  const auto first = given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10)) : 1u;
  const std::uint32_t rounds = given ? 1 : 4000;
  int right = 0, wrong = 0;
  for (std::uint32_t seed = first; seed < first + rounds; ++seed) {
    const std::string text = Mutator(seed).mutate(texts[seed % texts.size()]);
    INFO("LENET_FLOW_TEST_SEED=" << seed);
    const auto start = std::chrono::steady_clock::now();
    try {
      survives(text) ? ++right : ++wrong;
    } catch (const std::exception& error) {
      FAIL("seed " << seed << ": " << std::string(error.what()));
    }
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
  }
  MESSAGE(rounds << " files: " << right << " right, " << wrong << " wrong");
  if (rounds > 1) {
    // Both happen, or the test looks at nothing.
    CHECK(right > 100);
    CHECK(wrong > 1000);
  }
}

TEST_CASE("Broken options end in an InputError too") {
  const std::string text = shipped_texts().front();
  std::mt19937 random(7);
  const std::vector<std::string> pieces{"layers", ".",       "conv1", "=", "3",    "kernel",   "{",
                                        "\"",     "devices", "cpu0",  "[", "\xff", "training", "epochs",
                                        "-",      "0",       "name",  "]", "}",    ":"};
  for (int round = 0; round < 3000; ++round) {
    GraphOptions options;
    for (std::vector<std::string>* list : {&options.sets, &options.maps}) {
      std::string option;
      const std::size_t count = 1 + random() % 8;
      for (std::size_t i = 0; i < count; ++i) option += pieces[random() % pieces.size()];
      if (random() % 2 == 0) list->push_back(option);
    }
    CAPTURE(round);
    CHECK_NOTHROW(survives(text, options));
  }
}
