#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace lenet_flow {

/// Where data sets are looked for, in this order: --data (may be empty), LENET_FLOW_DATA, the user's cache folder
/// ($XDG_CACHE_HOME/lenet-flow/data, else ~/.cache/lenet-flow/data). Each holds one folder a data set.
std::vector<std::filesystem::path> data_folders(const std::filesystem::path& option);
/// What this program keeps for the user: $XDG_CACHE_HOME/lenet-flow, else ~/.cache/lenet-flow. Empty where there is
/// neither.
std::filesystem::path cache_folder();
/// Where `data get` puts what it fetches.
std::filesystem::path data_cache_folder();

/// Reads the set named `name` (a known set, or any folder under a data folder: class folders under train/ and test/,
/// IDX or CSV files, a tar of such). Throws MissingError with where it was looked for and what to type when it is
/// nowhere, InputError when it is there and broken.
DataSet open_data_set(const std::string& name, const std::vector<std::filesystem::path>& folders);

/// Shape and class count of a known set, for checking a graph file where the data is not there; null for other names.
struct KnownSet {
  std::string name, help;
  Shape shape;
  std::int64_t classes = 0;
  std::int64_t train_images = 0, test_images = 0;
};
const std::vector<KnownSet>& known_sets();
const KnownSet* find_known_set(const std::string& name);

/// One line of `lenet-flow data`: a known set in one of the folders.
struct SetStatus {
  std::string name;
  std::filesystem::path folder;  ///< looked at: DIR/mnist
  enum class State {
    absent,  ///< nothing there
    whole,   ///< every file there and its checksum right
    other,   ///< readable, but not the official files (no checksum known)
    broken,  ///< files missing, truncated or changed; `detail` says which
  } state = State::absent;
  std::string detail;
};
std::vector<SetStatus> data_status(const std::vector<std::filesystem::path>& folders);

/// Fetches a known set into the cache folder: from the official addresses over HTTPS, or from `from` (a folder, a .deb
/// for digits, or the address of a mirror). Goes on where a broken transfer stopped; checks checksums; nothing
/// half-done keeps the final name. `progress` gets (file, bytes so far, bytes in all or 0). Throws MissingError where
/// it can't be had, InputError for an unknown name or a wrong checksum.
using FetchProgress = std::function<void(const std::string& file, std::uint64_t done, std::uint64_t total)>;
std::filesystem::path fetch_data_set(const std::string& name, const std::string& from, const FetchProgress& progress);

}  // namespace lenet_flow
