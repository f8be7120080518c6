#include "engine/data/known_sets.h"

#include <algorithm>

#include "engine/data/bytes.h"
#include "engine/data/checksum.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> digit_names() { return {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}; }

// To add a set: a line in known_sets() and an entry here, both in the same order.
std::vector<KnownSource> make_sources() {
  return {
      {.name = "mnist",
       .class_names = digit_names(),
       .files = {{"train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                  "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
                 {"train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                  "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
                 {"t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                  "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
                 {"t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                  "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"}},
       .addresses = {"https://storage.googleapis.com/cvdf-datasets/mnist",
                     "https://ossci-datasets.s3.amazonaws.com/mnist"}},
      {.name = "fashion-mnist",
       .class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                       "Ankle boot"},
       .files = {{"train-images-idx3-ubyte.gz", "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", ""},
                 {"train-labels-idx1-ubyte.gz", "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", ""},
                 {"t10k-images-idx3-ubyte.gz", "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", ""},
                 {"t10k-labels-idx1-ubyte.gz", "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", ""}},
       .addresses = {"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion"}},
      {.name = "cifar10",
       .class_names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
       .files = {{"cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd", ""}},
       .addresses = {"https://www.cs.toronto.edu/~kriz"}},
      {.name = "digits",
       .class_names = digit_names(),
       .files = {{"train-images-idx3-ubyte", "", "2b0467006573784240a9359ada966b8657264eca1b10e2a787338c80e28310fc"},
                 {"train-labels-idx1-ubyte", "", "5dbd7686910cb66a8a6303f16940c2fae43896243c187897cd3976aab00f4817"},
                 {"t10k-images-idx3-ubyte", "", "6233d519759859cf81f2bc16dcd1a2041a82a20df8a542fa69fff46d6bb5e536"},
                 {"t10k-labels-idx1-ubyte", "", "66e4c6deb5f2a061f7d8cd5ec53025fdb9dabb08265e449acb8cf64b8cd36cac"}},
       .has_versions = true},
      {.name = "cats-dogs", .class_names = {"cats", "dogs"}},
  };
}

}  // namespace

const std::vector<KnownSet>& known_sets() {
  static const std::vector<KnownSet> sets = {
      {"mnist", "handwritten digits (LeCun, Cortes, Burges)", {1, 28, 28}, 10, 60000, 10000},
      {"fashion-mnist", "articles of clothing (Zalando Research)", {1, 28, 28}, 10, 60000, 10000},
      {"cifar10", "tiny colour pictures of ten kinds (Krizhevsky)", {3, 32, 32}, 10, 50000, 10000},
      {"digits",
       "5,000 handwritten digits from Debian's opencv-doc, padded to MNIST's size",
       {1, 28, 28},
       10,
       4000,
       1000},
      {"cats-dogs", "your own pictures of cats and dogs, 100 x 100", {3, 100, 100}, 2, 2000, 400},
  };
  return sets;
}

const KnownSet* find_known_set(const std::string& name) {
  for (const KnownSet& set : known_sets())
    if (set.name == name) return &set;
  return nullptr;
}

const std::vector<KnownSource>& known_sources() {
  static const std::vector<KnownSource> sources = make_sources();
  return sources;
}

const KnownSource* find_known_source(const std::string& name) {
  for (const KnownSource& source : known_sources())
    if (source.name == name) return &source;
  return nullptr;
}

std::optional<fs::path> find_known_file(const KnownFile& file, const fs::path& folder) {
  std::error_code error;
  if (const fs::path path = folder / file.name; fs::is_regular_file(path, error)) return path;
  if (fs::path plain = folder / file.name; plain.extension() == ".gz" && !file.content_sha256.empty()) {
    plain.replace_extension();
    if (fs::is_regular_file(plain, error)) return plain;
  }
  return std::nullopt;
}

FileCheck check_known_file(const KnownFile& file, const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return FileCheck::absent;
  if (!file.sha256.empty() && sha256_of_file(path) == file.sha256) return FileCheck::official;
  if (file.content_sha256.empty()) return FileCheck::unknown;
  const Bytes bytes = read_file(path);
  if (!is_gzip(bytes)) return sha256(bytes) == file.content_sha256 ? FileCheck::official : FileCheck::changed;
  try {
    const Bytes content = inflate_bytes(bytes, most_content_bytes(), InflateEnd::whole, path.string());
    return sha256(content) == file.content_sha256 ? FileCheck::official : FileCheck::changed;
  } catch (const InputError&) {
    return FileCheck::changed;
  }
}

}  // namespace lenet_flow
