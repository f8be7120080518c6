// Reading JSON: encodings, syntax, depth, size, numbers, places.
#include <chrono>

#include "engine/graph/json_value.h"
#include "tests/engine/graph/support.h"

using namespace lenet_flow;
using namespace lenet_flow::graph_test;

namespace {

Lines json_errors(const std::string& text) {
  const SourceText source = SourceText::file("g.json", text);
  Problems problems;
  parse_json(source, problems);
  try {
    problems.throw_if_any();
  } catch (const InputError& error) {
    return lines_of(error);
  }
  return {};
}

std::string nested(int depth, const std::string& inside) {
  std::string text;
  for (int i = 0; i < depth; ++i) text += "[";
  text += inside;
  for (int i = 0; i < depth; ++i) text += "]";
  return text;
}

}  // namespace

TEST_CASE("Syntax errors say what would be right, where") {
  CHECK(json_errors("{\"a\": 1\n \"b\": 2}") ==
        Lines{"g.json:2:2: expected ',' or '}' after the value before, got \"b\""});
  CHECK(json_errors("[1\n 2]") == Lines{"g.json:2:2: expected ',' or ']' after the value before, got 2"});
  CHECK(json_errors("{\"a\" 1}") == Lines{"g.json:1:6: expected ':' right after the key, got 1"});
  CHECK(json_errors("{a: 1}") == Lines{"g.json:1:2: expected a key in double quotes or '}', got a"});
  CHECK(json_errors("{'a': 1}") == Lines{"g.json:1:2: expected a key in double quotes or '}', got 'a'"});
  CHECK(json_errors("[1, , 2]") == Lines{"g.json:1:5: expected a value, got ,"});
  CHECK(json_errors("[True]") == Lines{"g.json:1:2: expected a value, got True"});
  CHECK(json_errors("{} {}") == Lines{"g.json:1:4: expected nothing after the first value, got {"});
  CHECK(json_errors("{\"a\": 1") ==
        Lines{"g.json:1:8: expected ',' or '}' after the value before, got the end of the text"});
  CHECK(json_errors("// nothing") == Lines{"g.json:1:11: expected a value, got the end of the text"});
  CHECK(json_errors("[\"a\\q\"]").size() == 1);
}

TEST_CASE("Numbers are finite and written as JSON writes them") {
  CHECK(json_errors("[NaN]") == Lines{"g.json:1:2: expected a value, got NaN; numbers must be finite"});
  CHECK(json_errors("[-Infinity]").size() == 1);
  CHECK(json_errors("[1e999]") == Lines{"g.json:1:2: expected a number that a double can hold, got 1e999"});
  CHECK(json_errors("[01]") == Lines{"g.json:1:2: expected a number as JSON writes it (0.5, -3, 1e-4), got 01"});
  for (const char* wrong : {"[+1]", "[-]", "[1.]", "[.5]", "[1.2.3]", "[1e]", "[0x10]", "[1_000]", "[--1]"}) {
    CAPTURE(wrong);
    CHECK(json_errors(wrong).size() == 1);
  }
  for (const char* right :
       {"[0]", "[-0]", "[1.5]", "[1e5]", "[1E-5]", "[-2.5e+3]", "[1e-400]", "[99999999999999999999]"}) {
    CAPTURE(right);
    CHECK(json_errors(right).empty());
  }
}

TEST_CASE("Comments and trailing commas are allowed") {
  CHECK(json_errors("// one\n{ /* two\n lines */ \"a\": [1, 2, /* three */ ], // four\n }\n// five").empty());
  CHECK(json_errors("{\"a\" /* before */ : // after\n 1,\n // \"b\": 2\n}").empty());
  CHECK(json_errors("[1, // größe\n /* x\r\n */ y]") == Lines{"g.json:3:5: expected a value, got y"});
  CHECK(json_errors("[1] /* never closed") == Lines{"g.json:1:5: this comment is never closed; expected a '*/'"});
  CHECK(json_errors("[\"no // comment /* here\"]").empty());
}

TEST_CASE("Strings close on their line and hold no control characters") {
  CHECK(json_errors("{\"a\": \"b\n}") == Lines{"g.json:1:7: this string is not closed on its line; expected a '\"'"});
  CHECK(json_errors("[\"abc") == Lines{"g.json:1:2: this string is not closed on its line; expected a '\"'"});
  CHECK(json_errors("[\"abc\\") == Lines{"g.json:1:2: this string is not closed on its line; expected a '\"'"});
  CHECK(json_errors("[\"a\tb\"]").size() == 1);
}

TEST_CASE("Text is UTF-8") {
  CHECK(json_errors("[\"\xe9\"]") ==
        Lines{"g.json:1:3: expected text in UTF-8, got the byte 0xE9; save the file as UTF-8"});
  CHECK(json_errors(std::string("\xff\xfe{\0}\0", 6)) ==
        Lines{"g.json:1:1: expected text in UTF-8, got UTF-16; save the file as UTF-8"});
  CHECK(json_errors(std::string("\xfe\xff\0{\0}", 6)).size() == 1);
  CHECK(json_errors(std::string("{\0}\0", 4)) == Lines{"g.json:1:2: expected text in UTF-8, got a null byte"});
  for (const char* wrong :
       {"\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xf5\x80\x80\x80\"", "\"\xe2\x82\"", "\"\xf0\x8f\xbf\xbf\"", "\x80"})
    CHECK(json_errors(wrong).size() == 1);
  CHECK(json_errors("[\"größe \xe2\x82\xac \xf0\x9f\x98\x80\"]").empty());
}

TEST_CASE("Columns count characters, lines end as editors end them") {
  CHECK(json_errors("[\"größe\", x]") == Lines{"g.json:1:11: expected a value, got x"});
  CHECK(json_errors("[1,\r\n2,\r\n x]") == Lines{"g.json:3:2: expected a value, got x"});
  CHECK(json_errors("[1,\r2,\r x]") == Lines{"g.json:3:2: expected a value, got x"});
}

TEST_CASE("Depth and size are bounded before anything recurses") {
  CHECK(json_errors(nested(64, "1")).empty());
  CHECK(json_errors(nested(65, "1")) == Lines{"g.json:1:65: expected at most 64 lists and objects inside one another"});
  const auto start = std::chrono::steady_clock::now();
  CHECK(json_errors(std::string(3 << 20, '[')).size() == 1);
  CHECK(json_errors(std::string(5 << 20, ' ')) == Lines{"g.json:1:1: expected at most 4 MiB of text"});
  std::string many = "[1";
  while (many.size() < (3 << 20)) many += ",1";
  CHECK(json_errors(many + "]") == Lines{"g.json:1:1000001: expected at most 500000 values in the file"});
  std::string objects;
  for (int i = 0; i < 200000; ++i) objects += "{\"a\":";
  CHECK(json_errors(objects).size() == 1);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("Members keep their order, their places and their doubles") {
  const SourceText source =
      SourceText::file("g.json", "{\"b\": 1, \"a\": {\"x\": [true, null]},\n \"b\": {\"b\": 2, \"\\u0062\": 3}}");
  Problems problems;
  const JsonValue value = parse_json(source, problems);
  REQUIRE(problems.empty());
  REQUIRE(value.members.size() == 3);
  CHECK(value.members[0].key == "b");
  CHECK(value.members[1].key == "a");
  CHECK(value.members[2].key == "b");
  CHECK(value.members[2].place.location().line == 2);
  CHECK(value.members[2].place.location().column == 2);
  CHECK(value.members[1].place.text() == "\"a\"");
  const JsonValue* last = value.find("b");
  REQUIRE(last);
  REQUIRE(last->members.size() == 2);
  CHECK(last->members[1].key == "b");
  CHECK(last->find("b")->number == 3);
  CHECK(value.find("a")->find("x")->list.size() == 2);
  CHECK(value.find("a")->find("x")->place.text() == "[true, null]");
  CHECK_FALSE(value.find("c"));
}

TEST_CASE("Doubles at every depth take no longer than the text is") {
  std::string text = "1";
  for (int i = 0; i < 60; ++i) text = "{\"a\":0,\"a\":" + text + "}";
  CHECK(json_errors(text).empty());
}
