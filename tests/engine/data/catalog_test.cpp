#include "engine/data/catalog.h"

#include <doctest/doctest.h>

#include "engine/data/checksum.h"
#include "engine/data/known_sets.h"
#include "engine/graph/diagnostics.h"
#include "tests/engine/data/test_files.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void write_tiny_mnist(const TempFolder& folder, const std::string& set) {
  folder.write(set + "/train-images-idx3-ubyte.gz", gzip(idx_images(20, 28, 28)));
  folder.write(set + "/train-labels-idx1-ubyte.gz", gzip(idx_labels(20, 10)));
  folder.write(set + "/t10k-images-idx3-ubyte.gz", gzip(idx_images(10, 28, 28)));
  folder.write(set + "/t10k-labels-idx1-ubyte.gz", gzip(idx_labels(10, 10)));
}

SetStatus status_of(const std::string& name, const fs::path& folder) {
  for (const SetStatus& status : data_status({folder}))
    if (status.name == name) return status;
  return {};
}

}  // namespace

TEST_CASE("folders are looked at in the order option, LENET_FLOW_DATA, cache") {
  const Environment data("LENET_FLOW_DATA", "/env"), cache("XDG_CACHE_HOME", "/xdg"), home("HOME", "/home/x");
  CHECK(data_folders("/option") == std::vector<fs::path>{"/option", "/env", "/xdg/lenet-flow/data"});
  CHECK(data_folders("") == std::vector<fs::path>{"/env", "/xdg/lenet-flow/data"});
  CHECK(data_folders("/env") == std::vector<fs::path>{"/env", "/xdg/lenet-flow/data"});
  const Environment no_data("LENET_FLOW_DATA", ""), relative("XDG_CACHE_HOME", "relative");
  CHECK(data_folders("") == std::vector<fs::path>{"/home/x/.cache/lenet-flow/data"});
}

TEST_CASE("the first folder that has the set is taken; empty ones and unfinished downloads are passed over") {
  const TempFolder first, second;
  fs::create_directories(first.path() / "mnist");
  first.write("mnist/train-images-idx3-ubyte.gz.part", std::string("half"));
  write_tiny_mnist(second, "mnist");
  const DataSet set = open_data_set("mnist", {first.path(), "/nonexistent", second.path()});
  CHECK(set.name == "mnist");
  CHECK(set.location == (second.path() / "mnist").string());
  CHECK(set.train->size() == 20);
}

TEST_CASE("a set that is nowhere: where it was looked for and what to type") {
  const TempFolder folder;
  const auto message = [&](const std::string& name) {
    CHECK_THROWS_AS(open_data_set(name, {folder.path(), "/other"}), MissingError);
    return message_of([&] { open_data_set(name, {folder.path(), "/other"}); });
  };
  CHECK(contains(message("mnist"), folder.path().string() + ", /other"));
  CHECK(contains(message("mnist"), "lenet-flow data get mnist"));
  CHECK(contains(message("mnist"), "--data DIR"));
  CHECK(contains(message("mine"), "DIR/mine/"));
  CHECK(contains(message("mine"), "train/CLASS/IMAGE"));
  CHECK(contains(message("cats-dogs"), "DIR/cats-dogs/"));
  CHECK(contains(message("mnis"), "Did you mean 'mnist'?"));
}

TEST_CASE("a set is named, never a path") {
  const TempFolder folder;
  write_tiny_mnist(folder, "sub/mnist");
  for (const std::string name : {"", "..", "sub/mnist", "/etc", ".hidden"})
    CHECK_THROWS_AS(open_data_set(name, {folder.path()}), InputError);
}

TEST_CASE("a folder with no data set in it, or several archives") {
  const TempFolder folder;
  folder.write("set/readme.txt", std::string("x"));
  CHECK(contains(message_of([&] { open_data_set("set", {folder.path()}); }), "no data set in it: expected"));
  folder.write("set/a.tar", tar({}));
  folder.write("set/b.tar.gz", tar({}, "gzip"));
  CHECK(contains(message_of([&] { open_data_set("set", {folder.path()}); }), "several archives (a.tar and b.tar.gz)"));
}

TEST_CASE("labels of a known set stay within its classes") {
  const TempFolder folder;
  write_tiny_mnist(folder, "mnist");
  folder.write("mnist/train-labels-idx1-ubyte.gz", gzip(idx_labels(20, 11)));
  CHECK(contains(message_of([&] { open_data_set("mnist", {folder.path()}); }), "label 10 of image 10 is out of range"));
  write_tiny_mnist(folder, "fashion-mnist");
  CHECK(open_data_set("fashion-mnist", {folder.path()}).class_names[9] == "Ankle boot");
}

TEST_CASE("known sets and their sources agree") {
  REQUIRE(known_sets().size() == known_sources().size());
  for (std::size_t i = 0; i < known_sets().size(); ++i) {
    CHECK(known_sets()[i].name == known_sources()[i].name);
    CHECK(known_sets()[i].classes == static_cast<std::int64_t>(known_sources()[i].class_names.size()));
    for (const KnownFile& file : known_sources()[i].files) {
      CHECK((file.sha256.size() == 64 || file.content_sha256.size() == 64));
      for (const std::string& address : known_sources()[i].addresses) CHECK(address.starts_with("https://"));
    }
  }
  CHECK(find_known_set("mnist")->shape == Shape{1, 28, 28});
  CHECK(find_known_set("nothing") == nullptr);
}

TEST_CASE("SHA-256 of FIPS 180-2's example, in memory and of a file") {
  const std::string expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(sha256(bytes_of("abc")) == expected);
  const TempFolder folder;
  folder.write("x", std::string("abc"));
  CHECK(sha256_of_file(folder.path() / "x") == expected);
}

TEST_CASE("the status of a set in a folder") {
  const TempFolder folder;
  using State = SetStatus::State;
  CHECK(status_of("mnist", folder.path()).state == State::absent);
  CHECK(status_of("mnist", folder.path()).folder == folder.path() / "mnist");

  write_tiny_mnist(folder, "fashion-mnist");  // readable, and no checksum of the content is known
  CHECK(status_of("fashion-mnist", folder.path()).state == State::other);
  CHECK(contains(status_of("fashion-mnist", folder.path()).detail, "20 training and 10 test images"));

  write_tiny_mnist(folder, "mnist");  // readable, but known to be changed
  CHECK(status_of("mnist", folder.path()).state == State::broken);
  CHECK(contains(status_of("mnist", folder.path()).detail, "train-images-idx3-ubyte.gz is not the official one"));
  fs::remove(folder.path() / "mnist/t10k-labels-idx1-ubyte.gz");
  CHECK(contains(status_of("mnist", folder.path()).detail, "t10k-labels-idx1-ubyte"));

  write_tiny_mnist(folder, "digits");  // another version of Debian's picture would look like this
  CHECK(status_of("digits", folder.path()).state == State::other);
  folder.write("cifar10/cifar-10-binary.tar.gz", std::string("damaged"));
  CHECK(status_of("cifar10", folder.path()).state == State::broken);
}
