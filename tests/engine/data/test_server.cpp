#include "tests/engine/data/test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace lenet_flow::test {
namespace {

void send_all(int client, const std::uint8_t* bytes, std::size_t size) {
  while (size > 0) {
    const ssize_t sent = send(client, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes += sent;
    size -= static_cast<std::size_t>(sent);
  }
}

}  // namespace

TestServer::TestServer(std::function<Answer(const std::string&, int)> answer) : answer_(std::move(answer)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in place{};
  place.sin_family = AF_INET;
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof place;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&place), size) != 0 || listen(listener_, 8) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&place), &size) != 0)
    throw std::runtime_error("no loopback socket");
  port_ = ntohs(place.sin_port);
  thread_ = std::thread([this] { serve(); });
}

TestServer::~TestServer() {
  stop_ = true;
  thread_.join();
  close(listener_);
}

std::string TestServer::address() const { return "http://127.0.0.1:" + std::to_string(port_); }

std::vector<std::string> TestServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void TestServer::serve() {
  while (!stop_) {
    pollfd ready{listener_, POLLIN, 0};
    if (poll(&ready, 1, 20) != 1) continue;
    const int client = accept(listener_, nullptr, nullptr);
    if (client < 0) continue;
    handle(client);
    shutdown(client, SHUT_RDWR);
    close(client);
  }
}

void TestServer::handle(int client) {
  std::string request;
  while (request.find("\r\n\r\n") == std::string::npos) {
    char bytes[4096];
    const ssize_t count = recv(client, bytes, sizeof bytes, 0);
    if (count <= 0) return;
    request.append(bytes, static_cast<std::size_t>(count));
  }
  const std::size_t begin = request.find(' ') + 1;
  const std::string path = request.substr(begin, request.find(' ', begin) - begin);
  const std::size_t range_at = request.find("Range: ");
  const std::string range =
      range_at == std::string::npos ? "" : request.substr(range_at + 7, request.find('\r', range_at) - range_at - 7);
  int number = 0;
  {
    const std::lock_guard lock(mutex_);
    number = static_cast<int>(requests_.size());
    requests_.push_back(range.empty() ? path : path + " " + range);
  }

  Answer answer = answer_(path, number);
  std::size_t first = 0;
  std::string head;
  const std::string whole = std::to_string(answer.body.size());
  if (!range.empty() && answer.knows_ranges && answer.status == 200) {
    first = std::stoul(range.substr(6));
    answer.status = first < answer.body.size() ? 206 : 416;
    if (answer.status == 416) {
      answer.body.clear();
      first = 0;
      head = "Content-Range: bytes */" + whole + "\r\n";
    } else {
      head = "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(answer.body.size() - 1) + "/" +
             whole + "\r\n";
    }
  }
  const std::size_t size = answer.body.size() - first;
  head = "HTTP/1.1 " + std::to_string(answer.status) + " x\r\nContent-Length: " + std::to_string(size) +
         "\r\nConnection: close\r\n" + head + "\r\n";
  send_all(client, reinterpret_cast<const std::uint8_t*>(head.data()), head.size());
  send_all(client, answer.body.data() + first, std::min(size, answer.break_after));
}

}  // namespace lenet_flow::test
