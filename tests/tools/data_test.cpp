#include <doctest/doctest.h>

#include <algorithm>

#include "tests/tools/tiny_set.h"

using namespace lenet_flow::test;

TEST_CASE("data lists the known sets, where they were looked for and what was found") {
  const TemporaryFolder folder;
  write_tiny_set(folder, "mnist", 10, 10);
  write_text(folder / "given/cifar10/cifar-10-batches-bin/data_batch_1.bin", "cut off");
  const Ended ended = run_program(folder, {"data", "--data", folder / "given"});
  CHECK_MESSAGE(ended.code == 0, ended.err);
  for (const std::string& part :
       {std::string("mnist"), std::string("fashion-mnist"), std::string("cifar10"), std::string("digits"),
        std::string("60,000"), std::string("1x28x28"), folder / "given", folder / "data",
        folder / "cache/lenet-flow/data", std::string("not there"), std::string("data get NAME")})
    CHECK_MESSAGE(ended.out_has(part), part << " in:\n" << ended.out);
  CHECK((ended.out_has("broken") || ended.out_has("not the official files")));
}

TEST_CASE("data get: a name that is not known is exit code 2 with a suggestion") {
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"data", "get", "mnst"});
  CHECK(ended.code == 2);
  CHECK_MESSAGE(ended.err_has("did you mean 'mnist'?"), ended.err);
}

TEST_CASE("data get: what cannot be had is exit code 3, what is not the set exit code 2; nothing is left as whole") {
  const TemporaryFolder folder;
  const Ended nowhere = run_program(folder, {"data", "get", "mnist", "--from", folder / "nowhere"});
  CHECK_MESSAGE((nowhere.code == 3 || nowhere.code == 2), nowhere.err);
  for (const char* name : {"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
                           "t10k-labels-idx1-ubyte.gz"})
    write_text(folder / ("mirror/" + std::string(name)), "not what it should be");
  const Ended changed = run_program(folder, {"data", "get", "mnist", "--from", folder / "mirror"});
  CHECK_MESSAGE(changed.code == 2, changed.err);
  CHECK(changed.out == "");
  CHECK(!std::filesystem::exists(folder / "cache/lenet-flow/data/mnist/train-images-idx3-ubyte.gz"));
}

TEST_CASE("data get from the folder of a whole set, where there is one") {
  const char* data = std::getenv("LENET_FLOW_DATA");
  const std::filesystem::path mnist = data ? std::filesystem::path(data) / "mnist" : std::filesystem::path();
  if (!data || !std::filesystem::exists(mnist / "train-images-idx3-ubyte.gz")) {
    MESSAGE("no MNIST here: not tried");
    return;
  }
  const TemporaryFolder folder;
  const Ended ended = run_program(folder, {"data", "get", "mnist", "--from", mnist.string()});
  CHECK_MESSAGE(ended.code == 0, ended.err);
  CHECK(ended.out == folder / "cache/lenet-flow/data/mnist\n");
  CHECK(ended.err_has("train-images-idx3-ubyte.gz"));
  CHECK(run_program(folder, {"data"}).out_has("whole"));
}
