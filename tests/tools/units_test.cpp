#include "tools/units.h"

#include <doctest/doctest.h>

#include <limits>

using namespace lenet_flow;

TEST_CASE("counts are grouped by thousands") {
  CHECK(count_text(0) == "0");
  CHECK(count_text(999) == "999");
  CHECK(count_text(1000) == "1,000");
  CHECK(count_text(1234567) == "1,234,567");
  CHECK(count_text(-123) == "-123");
  CHECK(count_text(-1234) == "-1,234");
}

TEST_CASE("bytes and amounts take the unit in which they are read best") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.0 KiB");
  CHECK(bytes_text(1024 * 1024 - 1) == "1.0 MiB");
  CHECK(bytes_text(std::uint64_t{3} << 30) == "3.0 GiB");
  CHECK(bytes_text(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
  CHECK(saving_text(2048, 1024) == "1.0 KiB saved");
  CHECK(saving_text(1000, 1064) == "64 B more");
  CHECK(saving_text(5, 5) == "nothing");
  CHECK(amount_text(84) == "84");
  CHECK(amount_text(999.4) == "999");
  CHECK(amount_text(999.6) == "1.0 k");
  CHECK(amount_text(416520) == "416.5 k");
  CHECK(amount_text(999960) == "1.0 M");
  CHECK(amount_text(2.5e12) == "2.5 T");
}

TEST_CASE("durations") {
  CHECK(duration_text(0) == "0 us");
  CHECK(duration_text(12e-6) == "12 us");
  CHECK(duration_text(0.0034) == "3.4 ms");
  CHECK(duration_text(0.9999) == "1.00 s");
  CHECK(duration_text(4.906) == "4.91 s");
  CHECK(duration_text(59.94) == "59.9 s");
  CHECK(duration_text(59.96) == "1 min 00 s");
  CHECK(duration_text(62) == "1 min 02 s");
  CHECK(duration_text(7500) == "2 h 05 min");
  CHECK(duration_text(1e30) != "");
  CHECK(duration_text(std::numeric_limits<double>::quiet_NaN()) == "-");
}

TEST_CASE("shares and losses") {
  CHECK(percent_text(0.9891) == "98.91%");
  CHECK(percent_text(0.5, 0) == "50%");
  CHECK(percent_text(std::numeric_limits<double>::quiet_NaN()) == "-");
  CHECK(number_text(0.12345) == "0.1235");
  CHECK(number_text(0.00001234) == "1.23e-05");
  CHECK(number_text(0) == "0.0000");
}

TEST_CASE("long lists keep their ends and their length") {
  const std::vector<std::string> names{"conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "flat", "fc1"};
  CHECK(shortened_list(names, 100) == "conv1 relu1 pool1 conv2 relu2 pool2 flat fc1");
  CHECK(shortened_list(names, 26) == "conv1 relu1 ... fc1 (8)");
  CHECK(shortened_list(names, 1) == "conv1 ... fc1 (8)");
  CHECK(shortened_list({"a_rather_long_name", "b"}, 5) == "a_rather_long_name b");
  CHECK(shortened_list({}, 5) == "");
}

TEST_CASE("one thing, several things") {
  CHECK(plural(1, "epoch") == "1 epoch");
  CHECK(plural(0, "epoch") == "0 epochs");
  CHECK(plural(3, "micro-batch") == "3 micro-batches");
  CHECK(plural(10, "class") == "10 classes");
  CHECK(plural(12000, "image") == "12,000 images");
}
