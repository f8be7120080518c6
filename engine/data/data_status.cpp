#include <fmt/format.h>

#include "engine/data/known_sets.h"
#include "engine/data/open_set.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;
using State = SetStatus::State;

/// Compares the files with their checksums. Returns true where all are there and right; else `wrong` says what is not,
/// and `changed` whether a file's content is known to be another than it should.
bool is_whole(const KnownSource& source, const fs::path& folder, std::string& wrong, bool& changed) {
  for (const KnownFile& file : source.files) {
    const std::optional<fs::path> path = find_known_file(file, folder);
    const FileCheck check = path ? check_known_file(file, *path) : FileCheck::absent;
    if (check == FileCheck::official) continue;
    changed = changed || (check == FileCheck::changed && !source.has_versions);
    if (!wrong.empty()) wrong += ", ";
    wrong += file.name + (check == FileCheck::absent    ? " is missing"
                          : check == FileCheck::changed ? " is not the official one"
                                                        : " has another checksum than the official one");
  }
  return wrong.empty() && !source.files.empty();
}

SetStatus status_in(const KnownSource& source, const fs::path& data_folder) {
  SetStatus status;
  status.name = source.name;
  status.folder = data_folder / source.name;
  try {
    if (is_empty_set_folder(status.folder)) return status;
    std::string wrong;
    bool changed = false;
    if (is_whole(source, status.folder, wrong, changed)) {
      status.state = State::whole;
      return status;
    }
    const DataSet set = open_data_set(source.name, {data_folder});
    status.state = changed ? State::broken : State::other;
    status.detail = changed ? wrong
                            : fmt::format("{} training and {} test images from {}", set.train->size(), set.test->size(),
                                          set.location);
  } catch (const MissingError& error) {
    status.state = State::other;  // there, but this build cannot read it
    status.detail = error.what();
  } catch (const std::exception& error) {
    status.state = State::broken;
    status.detail = error.what();
  }
  return status;
}

}  // namespace

std::vector<SetStatus> data_status(const std::vector<fs::path>& folders) {
  std::vector<SetStatus> all;
  for (const KnownSource& source : known_sources())
    for (const fs::path& folder : folders) all.push_back(status_in(source, folder));
  return all;
}

}  // namespace lenet_flow
