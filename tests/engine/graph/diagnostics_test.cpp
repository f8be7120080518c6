#include "engine/graph/diagnostics.h"

#include "tests/engine/graph/support.h"

using namespace lenet_flow;

TEST_CASE("A diagnostic is one line: file, line, column, field, message") {
  CHECK(Diagnostic{{"graphs/mine.json", 14, 17}, "layers.conv2.kernel", "expected a positive integer, got -5"}.text() ==
        "graphs/mine.json:14:17: layers.conv2.kernel: expected a positive integer, got -5");
  CHECK(Diagnostic{{"graphs/mine.json", 0, 0}, "", "no such file"}.text() == "graphs/mine.json: no such file");
  CHECK(Diagnostic{{"", 0, 0}, "", "no such file"}.text() == "no such file");
}

TEST_CASE("An input error lists every diagnostic and says how many more there are") {
  const InputError error({{{"a", 1, 2}, "x", "y"}, {{"a", 3, 4}, "z", "w"}}, 7);
  CHECK(std::string(error.what()) == "a:1:2: x: y\na:3:4: z: w\n... and 7 more errors");
  CHECK(std::string(InputError("all wrong").what()) == "all wrong");
}

TEST_CASE("The nearest name is the one that a slip of the finger would give") {
  const std::vector<std::string> known{"kernel", "stride", "padding", "bias", "conv1", "conv2"};
  CHECK(nearest_name("kernal", known) == "kernel");
  CHECK(nearest_name("kenrel", known) == "kernel");
  CHECK(nearest_name("KERNEL", known) == "kernel");
  CHECK(nearest_name("conv3", known) == "conv1");  // of two equally near, the first
  CHECK(nearest_name("pading", known) == "padding");
  CHECK(nearest_name("dilation", known).empty());
  CHECK(nearest_name("", known).empty());
  CHECK(nearest_name("xyz", known).empty());
  CHECK(nearest_name(std::string(1000, 'k'), known).empty());
  CHECK(nearest_name("kernel", {}).empty());
}

TEST_CASE("A third of the name's length is near, more is not") {
  const std::vector<std::string> known{"abcdef"};
  CHECK(nearest_name("abcdxy", known) == "abcdef");  // 2 of 6
  CHECK(nearest_name("abcxyz", known).empty());      // 3 of 6
}

TEST_CASE("A suggestion names the nearest, or all there are") {
  const std::vector<std::string> known{"kernel", "bias", "stride"};
  CHECK(with_suggestion("kernal", known) == "'kernal'; did you mean 'kernel'?");
  CHECK(with_suggestion("colour", known) == "'colour'; known: bias, kernel, stride");
  CHECK(with_suggestion("colour", {}) == "'colour'");
  std::vector<std::string> many;
  many.reserve(1000);
  for (int i = 0; i < 1000; ++i) many.push_back("layer" + std::to_string(i));
  const std::string line = with_suggestion("colour", many);
  CHECK(line.size() < 400);
  CHECK(line.ends_with("(1000 in all)"));
}

TEST_CASE("Nothing that a terminal obeys comes out of a file into a message") {
  CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
  CHECK(printable("a\xc2\x9b"
                  "b") == "a\\xc2b");  // U+009B, a control sequence introducer
  CHECK(printable("größe") == "größe");
  CHECK(printable(std::string(500, 'x')).size() == 63);
  // Cut between characters, never in one.
  const std::string cut = printable(std::string(59, 'x') + "ßßß");
  CHECK(cut == std::string(59, 'x') + "ß...");
}
