#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>

namespace lenet_flow {

/// A transfer that failed for good; what() says why, without the address.
class DownloadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct DownloadOptions {
  bool https_only = true;                      ///< else http and file too (a mirror that the user named)
  int attempts = 4;                            ///< of a transfer that broke off or a server that is busy
  std::chrono::milliseconds first_pause{500};  ///< between attempts; doubles
  std::chrono::seconds connect_timeout{10};
  std::chrono::seconds silence_timeout{30};  ///< without 100 bytes a second
  std::uint64_t most_bytes = std::uint64_t{1} << 30;
};

/// Fetches `address` into `part`. Where `part` is there already it goes on after its last byte, or begins anew where
/// the server cannot. What came before a failure stays in `part`. `progress` gets (bytes so far, bytes in all or 0).
/// Throws DownloadError: at once where nothing answers or the server has no such file, after the last attempt
/// otherwise.
void download(const std::string& address, const std::filesystem::path& part, const DownloadOptions& options,
              const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace lenet_flow
