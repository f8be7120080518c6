#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/data/bytes.h"

namespace lenet_flow::test {

/// A small HTTP/1.1 server on 127.0.0.1 for one client at a time; it stops with its destruction.
class TestServer {
 public:
  struct Answer {
    int status = 200;
    Bytes body = {};
    bool knows_ranges = true;
    std::size_t break_after = SIZE_MAX;  ///< closes the connection after so many bytes of the body
  };
  /// `answer` gets the path ("/a.bin") and how many requests came before.
  explicit TestServer(std::function<Answer(const std::string& path, int request)> answer);
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  /// "http://127.0.0.1:PORT"
  std::string address() const;
  /// The requests so far: "/a.bin" or "/a.bin bytes=100-".
  std::vector<std::string> requests() const;

 private:
  void serve();
  void handle(int client);

  std::function<Answer(const std::string&, int)> answer_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stop_ = false;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace lenet_flow::test
