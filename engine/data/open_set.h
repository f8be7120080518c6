#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/data/dataset.h"

namespace lenet_flow {

/// What a set's files may look like: for messages.
extern const char* const expected_layout;

/// True where a folder holds nothing that could be a data set (or is no folder): no files but hidden ones and
/// unfinished downloads.
bool is_empty_set_folder(const std::filesystem::path& folder);

/// Opens the set in `folder`, whatever its format: found by the files' names and checked by their content. An archive
/// in the folder is looked into where the folder itself holds no set. `preferred_archive` is taken where there are
/// several (may be empty); `class_names` of a known set (may be empty). Throws InputError.
DataSet open_set_folder(const std::filesystem::path& folder, const std::string& preferred_archive,
                        const std::vector<std::string>& class_names);

}  // namespace lenet_flow
