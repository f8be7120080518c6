#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace lenet_flow {

/// A file that is being written: under a temporary name in its folder, or, for a pipe or a device, as it is.
class OutputStream {
 public:
  /// `path`: a file that may be replaced, or something `special`. Throws std::system_error, as all here do, with
  /// `option` and the path.
  OutputStream(std::string option, std::filesystem::path path, bool special);
  /// Takes away what was not finished.
  ~OutputStream();
  OutputStream(const OutputStream&) = delete;
  OutputStream& operator=(const OutputStream&) = delete;

  void write(std::string_view content);
  /// Syncs, and gives the file its name.
  void finish();

 private:
  void check(bool done) const;

  std::string option_;
  std::filesystem::path path_, unfinished_;
  bool special_, named_ = false, finished_ = false;
  int descriptor_ = -1;
};

/// A file that a command will write when its work is done. That it can be written is tried before the work begins.
class OutputFile {
 public:
  /// `option`: for messages ("--json"). Throws InputError where the file could not be written: no such folder, a
  /// folder of that name, no permission. Leaves nothing behind.
  OutputFile(std::string option, std::filesystem::path path);

  /// Writes the whole file to a temporary name in the same folder, syncs, renames. A pipe or a device is written to as
  /// it is. Throws std::system_error with the file's name; leaves nothing behind then.
  void write(std::string_view content) const;
  /// The same piece by piece.
  std::unique_ptr<OutputStream> open() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::string option_;
  std::filesystem::path path_;
  bool special_ = false;  ///< a pipe, a terminal, /dev/null
};

/// A folder that a command will write files to; it need not be there yet. Throws InputError where that could not be.
/// Leaves nothing behind.
void check_output_folder(const std::string& option, const std::filesystem::path& folder);

}  // namespace lenet_flow
