#include "tools/table.h"

#include <doctest/doctest.h>

using namespace lenet_flow;

TEST_CASE("columns line up, also with letters of several bytes, and lines have no spaces at their ends") {
  Table table({{"stage", Table::Align::left}, {"time"}, {"note", Table::Align::left}});
  table.add_row({"größe", "1.5 s", ""});
  table.add_row({"fc", "12.25 s", "x"});
  table.add_footer({"all", "13.75 s", ""});
  CHECK(table.text(Terminal{}) ==
        "stage     time  note\n"
        "größe    1.5 s\n"
        "fc     12.25 s  x\n"
        "all    13.75 s\n");
}

TEST_CASE("colours do not move columns") {
  Terminal terminal;
  terminal.colour = true;
  Table table({{"a", Table::Align::left}, {"b"}});
  table.add_row({styled(terminal, Style::red, "broken"), "1"});
  table.add_row({"whole", "2"});
  CHECK(table.text(terminal).find("\033[1;31mbroken\033[0m  1\n") != std::string::npos);
  CHECK(table.text(terminal).find("whole   2\n") != std::string::npos);
}

TEST_CASE("a row of another length is a programmer's error") {
  Table table({{"a"}, {"b"}});
  CHECK_THROWS_AS(table.add_row({"1"}), std::logic_error);
}
