#include "engine/data/download.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>

namespace lenet_flow {
namespace {

namespace fs = std::filesystem;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

/// How one attempt ended.
struct Attempt {
  CURLcode code = CURLE_OK;
  long status = 0;  ///< of HTTP
  bool connected = false;
  std::string text;
};

/// One transfer: what curl's callbacks need.
struct Transfer {
  std::FILE* file;
  std::uint64_t already = 0, written = 0, most = 0;
  const std::function<void(std::uint64_t, std::uint64_t)>* progress;
  bool too_long = false, disk_failed = false;

  static std::size_t write(char* bytes, std::size_t size, std::size_t count, void* user) {
    auto& transfer = *static_cast<Transfer*>(user);
    transfer.too_long = transfer.already + transfer.written + size * count > transfer.most;
    if (transfer.too_long) return 0;
    const std::size_t done = std::fwrite(bytes, size, count, transfer.file) * size;
    transfer.disk_failed = done != size * count;
    transfer.written += done;
    return done;
  }

  static int report(void* user, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
    const auto& transfer = *static_cast<Transfer*>(user);
    if (*transfer.progress)
      (*transfer.progress)(transfer.already + transfer.written,
                           total > 0 ? transfer.already + static_cast<std::uint64_t>(total) : 0);
    return 0;
  }
};

Attempt attempt(const std::string& address, const fs::path& part, const DownloadOptions& options,
                const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), curl_easy_cleanup);
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(part.c_str(), "ab"));
  if (!curl) throw std::bad_alloc();
  if (!file) throw DownloadError(fmt::format("cannot write {}", part.string()));
  std::error_code none;
  Transfer transfer{file.get(), fs::file_size(part, none), 0, options.most_bytes, &progress};
  char error[CURL_ERROR_SIZE] = "";

  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, address.c_str());
  set(CURLOPT_ERRORBUFFER, error);
  set(CURLOPT_USERAGENT, "lenet-flow");
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, 8L);
#if CURL_AT_LEAST_VERSION(7, 85, 0)
  set(CURLOPT_PROTOCOLS_STR, options.https_only ? "https" : "http,https,file");
  set(CURLOPT_REDIR_PROTOCOLS_STR, options.https_only ? "https" : "http,https");
#else
  set(CURLOPT_PROTOCOLS,
      long{options.https_only ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS | CURLPROTO_FILE});
  set(CURLOPT_REDIR_PROTOCOLS, long{options.https_only ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS});
#endif
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 100L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.silence_timeout.count()));
  set(CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.already));
  set(CURLOPT_WRITEFUNCTION, &Transfer::write);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Transfer::report);
  set(CURLOPT_XFERINFODATA, &transfer);

  Attempt result;
  result.code = curl_easy_perform(curl.get());
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &result.status);
  double seconds = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_CONNECT_TIME, &seconds);
  result.connected = seconds > 0;
  result.text = error[0] != '\0' ? error : curl_easy_strerror(result.code);
  if (transfer.too_long) throw DownloadError(fmt::format("sends more than {} bytes", options.most_bytes));
  if (std::fflush(file.get()) != 0 || transfer.disk_failed)
    throw DownloadError(fmt::format("cannot write {}: is the disk full?", part.string()));
  return result;
}

/// True where trying again may help: a broken connection, a silent or busy server.
bool is_passing(const Attempt& attempt) {
  switch (attempt.code) {
    case CURLE_HTTP_RETURNED_ERROR: return attempt.status >= 500 || attempt.status == 408 || attempt.status == 429;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    case CURLE_OPERATION_TIMEDOUT: return attempt.connected;
    default: return false;
  }
}

}  // namespace

void download(const std::string& address, const fs::path& part, const DownloadOptions& options,
              const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  auto pause = options.first_pause;
  for (int tried = 1;; ++tried) {
    const Attempt result = attempt(address, part, options, progress);
    if (result.code == CURLE_OK) return;
    std::error_code none;
    const bool cannot_go_on = result.code == CURLE_RANGE_ERROR || result.code == CURLE_BAD_DOWNLOAD_RESUME;
    if (cannot_go_on) fs::remove(part, none);
    if (tried >= options.attempts || (!cannot_go_on && !is_passing(result))) throw DownloadError(result.text);
    if (cannot_go_on) continue;
    std::this_thread::sleep_for(pause);
    pause *= 2;
  }
}

}  // namespace lenet_flow
