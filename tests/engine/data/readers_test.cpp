#include <doctest/doctest.h>

#include <filesystem>

#include "engine/data/catalog.h"
#include "engine/data/file_tree.h"
#include "engine/graph/diagnostics.h"
#include "tests/engine/data/test_files.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace {

/// The four files of a small IDX set, `broken` put in place of one of them.
void write_idx_set(const TempFolder& folder, const std::string& broken_name = "", const Bytes& broken = {}) {
  folder.write("set/train-images-idx3-ubyte", idx_images(6, 3, 4));
  folder.write("set/train-labels-idx1-ubyte", idx_labels(6, 3));
  folder.write("set/t10k-images-idx3-ubyte", idx_images(3, 3, 4));
  folder.write("set/t10k-labels-idx1-ubyte", idx_labels(3, 3));
  if (!broken_name.empty()) folder.write("set/" + broken_name, broken);
}

void check_idx_set(const DataSet& set) {
  CHECK(set.class_names == std::vector<std::string>{"0", "1", "2"});
  REQUIRE(set.train->size() == 6);
  REQUIRE(set.test->size() == 3);
  CHECK(set.train->shape(0) == Shape{1, 3, 4});
  const std::vector<Bytes> images = read_all(*set.train);
  for (std::int64_t i = 0; i < 6; ++i) {
    CHECK(set.train->label(i) == i % 3);
    for (std::int64_t j = 0; j < 12; ++j)
      CHECK(images[static_cast<std::size_t>(i)][static_cast<std::size_t>(j)] == pixel_of(i, j));
  }
}

std::string open_message(const TempFolder& folder) {
  return message_of([&] { open_data_set("set", {folder.path()}); });
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// One CIFAR-10 record.
Bytes record(std::uint8_t label, std::int64_t image) {
  Bytes bytes{label};
  for (std::int64_t j = 0; j < 3072; ++j) bytes.push_back(pixel_of(image, j));
  return bytes;
}

Bytes joined(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

TEST_CASE("IDX files are read, plain and gz, in a folder and in a tar") {
  const TempFolder folder;
  SUBCASE("plain") { write_idx_set(folder); }
  SUBCASE("gz, with other names for the split") {
    folder.write("set/train-images.idx3-ubyte.gz", gzip(idx_images(6, 3, 4)));
    folder.write("set/train-labels.idx1-ubyte.gz", gzip(idx_labels(6, 3)));
    folder.write("set/test-images.idx3-ubyte", idx_images(3, 3, 4));
    folder.write("set/test-labels.idx1-ubyte", idx_labels(3, 3));
  }
  SUBCASE("tar.xz, below folders") {
    folder.write("set/all.tar.xz", tar({{"./deep/er/train-images-idx3-ubyte", idx_images(6, 3, 4)},
                                        {"./deep/er/train-labels-idx1-ubyte", idx_labels(6, 3)},
                                        {"./deep/er/t10k-images-idx3-ubyte.gz", gzip(idx_images(3, 3, 4))},
                                        {"./deep/er/t10k-labels-idx1-ubyte", idx_labels(3, 3)}},
                                       "xz"));
  }
  check_idx_set(open_data_set("set", {folder.path()}));
}

TEST_CASE("wrong IDX files are named with what is wrong") {
  const TempFolder folder;
  const auto message = [&](const std::string& name, const Bytes& bytes) {
    write_idx_set(folder, name, bytes);
    const std::string text = open_message(folder);
    CHECK(contains(text, name));
    std::filesystem::remove(folder.path() / "set" / name);
    return text;
  };
  CHECK(contains(message("train-images-idx3-ubyte", idx_labels(60, 3)), "not an IDX file of images"));
  CHECK(contains(message("train-images-idx3-ubyte", idx(0x803, {5, 3, 4}, Bytes(60))), "5 images"));
  CHECK(contains(message("train-images-idx3-ubyte", idx(0x803, {6, 0, 4}, {})), "dimension of 0"));
  CHECK(contains(message("train-images-idx3-ubyte", idx(0x803, {6, 70000, 4}, {})), "70000"));
  CHECK(contains(message("train-images-idx3-ubyte", idx(0x803, {6, 3, 4}, Bytes(73))), "too long"));
  CHECK(contains(message("train-images-idx3-ubyte.gz", gzip(idx(0x803, {6, 3, 4}, Bytes(73)))), "more than"));
  CHECK(contains(message("t10k-labels-idx1-ubyte", idx(0x801, {3}, {0, 1, 3})), "label 3 of image 2"));
  // A header that claims 60 exabytes in a file of a few bytes, and one that claims 2 GiB.
  CHECK(!message("train-images-idx3-ubyte", idx(0x803, {0xffffffff, 16384, 16384}, {1, 2})).empty());
  CHECK(contains(message("train-images-idx3-ubyte.gz", gzip(idx(0x803, {131072, 128, 128}, {1, 2}))), "has 18"));
  Bytes wrong_sum = gzip(idx_images(6, 3, 4));
  wrong_sum[wrong_sum.size() - 8] ^= 1;
  CHECK(contains(message("train-images-idx3-ubyte.gz", wrong_sum), "damaged compressed data"));

  write_idx_set(folder);
  std::filesystem::remove(folder.path() / "set/t10k-labels-idx1-ubyte");
  CHECK(contains(open_message(folder), "t10k-labels-idx1-ubyte (or .gz) is missing"));
  write_idx_set(folder, "t10k-images-idx3-ubyte", idx_images(3, 4, 3));
  CHECK(contains(open_message(folder), "1x4x3"));
}

TEST_CASE("CIFAR-10's binary form, unpacked or not") {
  const TempFolder folder;
  const Bytes first = joined({record(3, 0), record(9, 1)}), second = record(0, 2), test = record(1, 3);
  SUBCASE("in the official folder") {
    folder.write("set/cifar-10-batches-bin/data_batch_1.bin", first);
    folder.write("set/cifar-10-batches-bin/data_batch_2.bin", second);
    folder.write("set/cifar-10-batches-bin/test_batch.bin", test);
    folder.write("set/cifar-10-batches-bin/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  }
  SUBCASE("in the archive") {
    folder.write("set/cifar-10-binary.tar.gz",
                 tar({{"cifar-10-batches-bin/data_batch_1.bin", first},
                      {"cifar-10-batches-bin/data_batch_2.bin", second},
                      {"cifar-10-batches-bin/batches.meta.txt", bytes_of("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n")},
                      {"cifar-10-batches-bin/test_batch.bin", test}},
                     "gzip"));
  }
  const DataSet set = open_data_set("set", {folder.path()});
  CHECK(set.class_names == std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"});
  REQUIRE(set.train->size() == 3);
  CHECK(set.train->shape(1) == Shape{3, 32, 32});
  CHECK(set.train->label(1) == 9);
  const std::vector<Bytes> images = read_all(*set.train);
  for (std::int64_t i = 0; i < 3; ++i) {
    const Bytes expected = record(0, i);
    CHECK(std::equal(expected.begin() + 1, expected.end(), images[static_cast<std::size_t>(i)].begin(),
                     images[static_cast<std::size_t>(i)].end()));
  }
}

TEST_CASE("wrong CIFAR-10 files") {
  const TempFolder folder;
  folder.write("set/data_batch_1.bin", record(3, 0));
  CHECK(contains(open_message(folder), "test_batch.bin is missing"));
  folder.write("set/test_batch.bin", record(10, 0));
  CHECK(contains(open_message(folder), "test_batch.bin: label 10 of image 0"));
  folder.write("set/test_batch.bin", Bytes(3072));
  CHECK(contains(open_message(folder), "truncated"));
  folder.write("set/test_batch.bin", Bytes());
  CHECK(contains(open_message(folder), "truncated"));
}

TEST_CASE("CSV files, with and without a header, the label anywhere") {
  const TempFolder folder;
  SUBCASE("bare") {
    folder.write("set/train.csv", std::string("1,0,255,3,4\n0, 5,6 ,7,8\r\n\n"));
    folder.write("set/test.csv", std::string("1,9,10,11,12"));
  }
  SUBCASE("header, label last, gz, byte-order mark") {
    folder.write("set/mnist_train.csv.gz",
                 gzip(bytes_of("\xEF\xBB\xBFp1,p2,p3,p4,\"Label\"\n0,255,3,4,1\n5,6,7,8,0\n")));
    folder.write("set/mnist_test.csv", std::string("p1,p2,p3,p4,label\n9,10,11,12,1\n"));
  }
  const DataSet set = open_data_set("set", {folder.path()});
  CHECK(set.class_names.size() == 2);
  CHECK(set.train->shape(0) == Shape{1, 2, 2});
  CHECK(set.train->label(0) == 1);
  CHECK(set.train->label(1) == 0);
  CHECK(read_all(*set.train) == std::vector<Bytes>{{0, 255, 3, 4}, {5, 6, 7, 8}});
  CHECK(read_all(*set.test) == std::vector<Bytes>{{9, 10, 11, 12}});
}

TEST_CASE("a CSV of three channels") {
  const TempFolder folder;
  folder.write("set/train.csv", std::string("0,1,2,3\n"));
  folder.write("set/test.csv", std::string("0,1,2,3\n"));
  CHECK(open_data_set("set", {folder.path()}).train->shape(0) == Shape{3, 1, 1});
}

TEST_CASE("wrong CSV files are named with line and column") {
  const TempFolder folder;
  folder.write("set/test.csv", std::string("1,9,10,11,12\n"));
  const auto message = [&](const std::string& text) {
    folder.write("set/train.csv", text);
    return open_message(folder);
  };
  CHECK(contains(message("label,a,b,c,d\n1,2,3,4,5\n1,2,3,256,5\n"), "train.csv:3: column 4: expected a pixel"));
  CHECK(contains(message("1,2,3,4,5\n1,2,x,4,5\n"), "train.csv:2: column 3"));
  CHECK(contains(message("1,2,3,4,5\n1,2,,4,5\n"), "got ''"));
  CHECK(contains(message("1,2,3,4,5\n1,2,3.5,4,5\n"), "got '3.5'"));
  CHECK(contains(message("1,2,3,4,5\n-1,2,3,4,5\n"), "column 1: expected a label"));
  CHECK(contains(message("1,2,3,4,5\n1,2,3,4\n"), "train.csv:2: expected 5 numbers as in the first line, got 4"));
  CHECK(contains(message("1,2,3,4,5\n1,2,3,4,5,6\n"), "got more than 5"));
  CHECK(contains(message("1,2,3\n"), "square"));
  CHECK(contains(message("7\n"), "square"));
  CHECK(contains(message("label,a,b,c,d\n"), "no images"));
  CHECK(contains(message(""), "no images"));
  CHECK(contains(message("0,2,3,4,5\n"), "test.csv: label 1 is out of range"));
  CHECK(contains(message(std::string(100000, ',')), "pixels"));
}

TEST_CASE("every truncation of every format is an InputError") {
  const auto expect_error = [](const std::string& name, const Bytes& whole, std::size_t step,
                               const std::function<void(const TempFolder&)>& others) {
    const TempFolder folder;
    others(folder);
    for (std::size_t size = 0; size < whole.size(); size += step) {
      folder.write("set/" + name, Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
      CAPTURE(name);
      CAPTURE(size);
      CHECK_THROWS_AS(open_data_set("set", {folder.path()}), InputError);
    }
    folder.write("set/" + name, whole);
    CHECK(open_data_set("set", {folder.path()}).train->size() == 6);
  };
  const auto other_idx = [](const TempFolder& folder) {
    write_idx_set(folder);
    std::filesystem::remove(folder.path() / "set/train-images-idx3-ubyte");
  };
  expect_error("train-images-idx3-ubyte", idx_images(6, 3, 4), 1, other_idx);
  expect_error("train-images-idx3-ubyte.gz", gzip(idx_images(6, 3, 4)), 1, other_idx);
  const std::vector<std::pair<std::string, Bytes>> members{{"s/train-images-idx3-ubyte", idx_images(6, 3, 4)},
                                                           {"s/train-labels-idx1-ubyte", idx_labels(6, 3)},
                                                           {"s/t10k-images-idx3-ubyte", idx_images(3, 3, 4)},
                                                           {"s/t10k-labels-idx1-ubyte", idx_labels(3, 3)}};
  const auto nothing = [](const TempFolder&) {};
  Bytes plain = tar(members);
  plain.resize(4 * 1024 + 512);  // one block of the end mark: less is truncated
  expect_error("set.tar", plain, 37, nothing);
  expect_error("set.tar.gz", tar(members, "gzip"), 5, nothing);
  expect_error("set.tar.xz", tar(members, "xz"), 5, nothing);
}

TEST_CASE("archives are bounded, and names in them are only names") {
  const TempFolder folder;
  folder.write("bomb.tar.gz", tar({{"zeros", Bytes(1 << 20)}}, "gzip"));
  CHECK(contains(message_of([&] { open_archive(folder.path() / "bomb.tar.gz", 1 << 19); }), "unpack it"));
  CHECK(open_archive(folder.path() / "bomb.tar.gz", 1 << 20)->files().size() == 1);

  folder.write("names.tar", tar({{"../../outside", Bytes{1}},
                                 {"a/../../b", Bytes{2}},
                                 {"/absolute//x", Bytes{3}},
                                 {".hidden/y", Bytes{4}},
                                 {"./plain", Bytes{5}}}));
  const auto tree = open_archive(folder.path() / "names.tar");
  REQUIRE(tree->files().size() == 2);
  CHECK(tree->files()[0].path == "absolute/x");
  CHECK(tree->files()[1].path == "plain");
  CHECK(tree->where(1) == (folder.path() / "names.tar").string() + ": plain");
  CHECK(!std::filesystem::exists(folder.path() / "plain"));

  folder.write("noise.tar.gz", bytes_of("this is no archive at all"));
  CHECK(contains(message_of([&] { open_archive(folder.path() / "noise.tar.gz"); }), "damaged archive"));
}

TEST_CASE("bytes after a gzip stream, and several streams, as gunzip takes them") {
  const Bytes one = gzip({1, 2, 3}), two = gzip({4, 5});
  CHECK(inflate_bytes(joined({one, two}), 100, InflateEnd::whole, "x") == Bytes{1, 2, 3, 4, 5});
  CHECK(inflate_bytes(joined({one, Bytes(7)}), 100, InflateEnd::whole, "x") == Bytes{1, 2, 3});
  CHECK(inflate_bytes(one, 2, InflateEnd::head, "x") == Bytes{1, 2});
  CHECK(contains(message_of([&] { inflate_bytes(one, 2, InflateEnd::whole, "x"); }), "x: holds more than 2 bytes"));
}
