#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "engine/data/bytes.h"

namespace lenet_flow {

/// Has apt-get download a package into `folder` (nothing is installed, no root needed) and returns the .deb.
/// `progress` gets the bytes so far. Throws MissingError with what to type where there is no apt-get, its lists do not
/// have the package, or it cannot be had.
std::filesystem::path download_debian_package(const std::string& package, const std::filesystem::path& folder,
                                              const std::function<void(std::uint64_t done)>& progress);

/// The content of the first file in a .deb whose path ends with `ending` (also where it is packed as ENDING.gz). Throws
/// InputError for a damaged package and for one without such a file.
Bytes read_from_debian_package(const std::filesystem::path& deb, const std::string& ending);

}  // namespace lenet_flow
