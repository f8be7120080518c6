#include "engine/data/catalog.h"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "engine/data/known_sets.h"
#include "engine/data/open_set.h"
#include "engine/graph/diagnostics.h"

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

fs::path environment_path(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? fs::path{} : fs::path(value);
}

fs::path home_folder() {
  if (const fs::path home = environment_path("HOME"); !home.empty()) return home;
  const passwd* user = getpwuid(getuid());
  return user == nullptr || user->pw_dir == nullptr ? fs::path{} : fs::path(user->pw_dir);
}

/// A set's name becomes a folder's name: it must not lead anywhere else.
void require_plain_name(const std::string& name) {
  if (name.empty() || name.starts_with('.') || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos)
    throw InputError(fmt::format("data set '{}': expected a name, as of a folder under --data DIR, not a path", name));
}

std::string list_of(const std::vector<fs::path>& folders) {
  std::string text;
  for (const fs::path& folder : folders) text += (text.empty() ? "" : ", ") + folder.string();
  return text.empty() ? "no folder" : text;
}

[[noreturn]] void throw_missing(const std::string& name, const std::vector<fs::path>& folders) {
  const KnownSource* known = find_known_source(name);
  std::string text = fmt::format("data set '{}' is not on this machine; looked for a folder '{}' in {}. ", name, name,
                                 list_of(folders));
  if (known != nullptr && !known->files.empty()) {
    text += fmt::format("Type: lenet-flow data get {} (or name the folder that holds it: --data DIR)", name);
  } else {
    std::vector<std::string> names;
    for (const KnownSet& set : known_sets()) names.push_back(set.name);
    if (const std::string near = nearest_name(name, names); known == nullptr && !near.empty())
      text += fmt::format("Did you mean '{}'? ", near);
    text +=
        fmt::format("Name the folder that holds it: --data DIR, with DIR/{}/ as follows: {}", name, expected_layout);
  }
  throw MissingError(text);
}

}  // namespace

fs::path cache_folder() {
  fs::path cache = environment_path("XDG_CACHE_HOME");
  // The XDG Base Directory Specification: a relative path is to be ignored.
  if (!cache.is_absolute()) {
    const fs::path home = home_folder();
    if (home.empty()) return {};
    cache = home / ".cache";
  }
  return cache / "lenet-flow";
}

fs::path data_cache_folder() {
  const fs::path cache = cache_folder();
  return cache.empty() ? cache : cache / "data";
}

std::vector<fs::path> data_folders(const fs::path& option) {
  std::vector<fs::path> folders;
  for (const fs::path& folder : {option, environment_path("LENET_FLOW_DATA"), data_cache_folder()})
    if (!folder.empty() && std::find(folders.begin(), folders.end(), folder) == folders.end())
      folders.push_back(folder);
  return folders;
}

DataSet open_data_set(const std::string& name, const std::vector<fs::path>& folders) {
  require_plain_name(name);
  for (const fs::path& folder : folders) {
    if (is_empty_set_folder(folder / name)) continue;
    const KnownSource* known = find_known_source(name);
    const std::string archive = known != nullptr && known->files.size() == 1 ? known->files[0].name : "";
    DataSet set =
        open_set_folder(folder / name, archive, known != nullptr ? known->class_names : std::vector<std::string>{});
    set.name = name;
    return set;
  }
  throw_missing(name, folders);
}

}  // namespace lenet_flow
