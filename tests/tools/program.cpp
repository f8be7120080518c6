#include "tests/tools/program.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

namespace lenet_flow::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::steady_clock;

constexpr std::chrono::seconds patience{60};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> list;
  for (std::string& text : texts) list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

std::vector<std::string> environment(const TemporaryFolder& folder, const Program::Environment& more) {
  Program::Environment all{{"PATH", "/usr/bin:/bin"},
                           {"HOME", folder / "home"},
                           {"XDG_CACHE_HOME", folder / "cache"},
                           {"LENET_FLOW_DATA", folder / "data"},
                           {"TERM", "xterm"}};
  for (const char* name : {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"})
    if (const char* value = std::getenv(name)) all[name] = value;
  for (const auto& [name, value] : more) all[name] = value;
  std::vector<std::string> list;
  for (const auto& [name, value] : all) list.push_back(name + "=" + value);
  return list;
}

/// What a child's streams are to be, for posix_spawn.
class FileActions {
 public:
  FileActions() { posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;

  void open(int fd, const std::string& path, int flags) {
    posix_spawn_file_actions_addopen(&actions_, fd, path.c_str(), flags, 0644);
  }
  void work_in(const fs::path& folder) { posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str()); }
  void use(int fd, int existing) { posix_spawn_file_actions_adddup2(&actions_, existing, fd); }
  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "lenet-flow-test-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  fs::remove_all(path_, error);
}

std::string built_program() {
  const char* program = std::getenv("LENET_FLOW_PROGRAM");
  REQUIRE_MESSAGE(program != nullptr, "LENET_FLOW_PROGRAM names the built program; meson test sets it");
  return program;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  REQUIRE(file.good());
}

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

Program::Program(const TemporaryFolder& folder, const std::vector<std::string>& arguments, const Environment& more,
                 const Setup& setup)
    : out_(folder / "stdout"), err_(folder / "stderr"), begin_(steady_clock::now()) {
  const std::string program = setup.program.empty() ? built_program() : setup.program;
  fs::remove(out_);
  fs::remove(err_);
  FileActions actions;
  actions.work_in(folder.path());
  actions.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  int ends[2] = {-1, -1}, slave = -1;
  if (setup.out_closed_pipe) {
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    ::close(ends[0]);
    actions.use(STDOUT_FILENO, ends[1]);
  } else {
    actions.open(STDOUT_FILENO, setup.out_file.empty() ? out_.string() : setup.out_file, O_WRONLY | O_CREAT | O_TRUNC);
  }
  if (setup.err_terminal) {
    winsize size{24, 90, 0, 0};
    REQUIRE(::openpty(&terminal_, &slave, nullptr, nullptr, &size) == 0);
    actions.use(STDERR_FILENO, slave);
  } else {
    actions.open(STDERR_FILENO, err_.string(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND);
  }
  std::vector<std::string> all_arguments{"lenet-flow"};
  all_arguments.insert(all_arguments.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment(folder, more);
  REQUIRE(::posix_spawn(&pid_, program.c_str(), actions.get(), nullptr, pointers(all_arguments).data(),
                        pointers(variables).data()) == 0);
  if (slave >= 0) ::close(slave);
  if (ends[1] >= 0) ::close(ends[1]);
}

Program::~Program() {
  if (!reaped_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, &status_, 0);
  }
  if (terminal_ >= 0) ::close(terminal_);
}

void Program::send(int signal) const { REQUIRE(::kill(pid_, signal) == 0); }

bool Program::ended() {
  if (!reaped_) reaped_ = ::waitpid(pid_, &status_, WNOHANG) == pid_;
  return reaped_;
}

void Program::take_terminal_output() {
  pollfd ready{terminal_, POLLIN, 0};
  char buffer[4096];
  while (terminal_ >= 0 && ::poll(&ready, 1, 0) > 0 && (ready.revents & POLLIN)) {
    const ssize_t count = ::read(terminal_, buffer, sizeof(buffer));
    if (count <= 0) break;
    terminal_text_.append(buffer, static_cast<std::size_t>(count));
  }
}

std::string Program::error_text() {
  take_terminal_output();
  return terminal_ >= 0 ? terminal_text_ : read_text(err_);
}

bool Program::wait_for(const std::string& text) {
  while (steady_clock::now() - begin_ < patience) {
    const bool over = ended();
    if (error_text().find(text) != std::string::npos) return true;
    if (over) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

Ended Program::wait() {
  while (!ended()) {
    take_terminal_output();
    if (steady_clock::now() - begin_ > patience) {
      ::kill(pid_, SIGKILL);
      FAIL_CHECK("the program did not end in time");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  Ended result;
  result.code = WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  result.signal = WIFSIGNALED(status_) ? WTERMSIG(status_) : 0;
  result.out = read_text(out_);
  result.err = error_text();
  result.seconds = std::chrono::duration<double>(steady_clock::now() - begin_).count();
  return result;
}

bool has_terminals() {
  int master = -1, slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) return false;
  ::close(master);
  ::close(slave);
  return true;
}

Ended run_program(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                  const Program::Environment& more, const Setup& setup) {
  return Program(folder, arguments, more, setup).wait();
}

}  // namespace lenet_flow::test
