#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/data/catalog.h"

namespace lenet_flow {

/// One file of a known set.
struct KnownFile {
  std::string name;    ///< "train-images-idx3-ubyte.gz"
  std::string sha256;  ///< of the file as it is published; empty: not published by itself
  /// Of what the file holds after gunzip: it also knows a file that was unpacked or packed anew. Empty: not known.
  std::string content_sha256;
};

/// Where a known set comes from, and how its files are told to be whole.
struct KnownSource {
  std::string name;  ///< of the KnownSet
  std::vector<std::string> class_names = {};
  std::vector<KnownFile> files = {};        ///< empty: no published files; the user's own
  std::vector<std::string> addresses = {};  ///< HTTPS folders that hold the files, the first that answers is taken
  /// Other versions are in use (Debian's picture of digits): files with another checksum are not taken for damaged.
  bool has_versions = false;
};

/// Of every known set, in the order of known_sets().
const std::vector<KnownSource>& known_sources();
/// Null for a name that is not known.
const KnownSource* find_known_source(const std::string& name);

/// How a file stands against its checksums.
enum class FileCheck {
  absent,
  official,  ///< a checksum is right
  changed,   ///< the content's checksum is known and this file's is another, or it cannot be unpacked
  unknown,   ///< not the published file, and no checksum of the content is known
};
/// The path under which `file` lies in `folder`: by its name, or without ".gz".
std::optional<std::filesystem::path> find_known_file(const KnownFile& file, const std::filesystem::path& folder);
/// Reads the whole file.
FileCheck check_known_file(const KnownFile& file, const std::filesystem::path& path);

}  // namespace lenet_flow
