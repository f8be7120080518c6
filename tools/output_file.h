#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace lenet_flow {

/// A file that a command will write when its work is done. That it can be written is tried before the work begins.
class OutputFile {
 public:
  /// `option`: for messages ("--json"). Throws InputError where the file could not be written: no such folder, a
  /// folder of that name, no permission. Leaves nothing behind.
  OutputFile(std::string option, std::filesystem::path path);

  /// Writes the whole file to a temporary name in the same folder, syncs, renames. A pipe or a device is written to as
  /// it is. Throws std::system_error with the file's name; leaves nothing behind then.
  void write(std::string_view content) const;

 private:
  std::filesystem::path temporary() const;

  std::string option_;
  std::filesystem::path path_;
  bool special_ = false;  ///< a pipe, a terminal, /dev/null
};

/// A folder that a command will write files to; it need not be there yet. Throws InputError where that could not be.
/// Leaves nothing behind.
void check_output_folder(const std::string& option, const std::filesystem::path& folder);

}  // namespace lenet_flow
