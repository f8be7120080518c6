#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace lenet_flow::test {

/// An empty folder that is gone with this object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// The program that was built with these tests.
std::string built_program();
std::string read_text(const std::filesystem::path& path);
void write_text(const std::filesystem::path& path, const std::string& text);
/// Names in a folder, sorted; those of hidden files too. Empty where there is no such folder.
std::vector<std::string> names_in(const std::filesystem::path& folder);

/// How the program ended.
struct Ended {
  int code = -1;   ///< exit code; -1 where a signal ended it
  int signal = 0;  ///< that ended it
  std::string out, err;
  double seconds = 0;

  bool out_has(const std::string& text) const { return out.find(text) != std::string::npos; }
  bool err_has(const std::string& text) const { return err.find(text) != std::string::npos; }
};

/// What is not as usual: the built program, its streams to files that Ended is read from.
struct Setup {
  std::string program;           ///< another copy of it
  std::string out_file;          ///< "/dev/full"
  bool out_closed_pipe = false;  ///< a pipe that nobody reads
  bool err_terminal = false;     ///< a terminal 90 columns wide
};

/// The built `lenet-flow` at work in `folder`, with an environment of its own: no data, cache or home but those of
/// `folder`.
class Program {
 public:
  using Environment = std::map<std::string, std::string>;

  Program(const TemporaryFolder& folder, const std::vector<std::string>& arguments, const Environment& more = {},
          const Setup& setup = {});
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal) const;
  /// Until standard error holds `text`; false where the program ended before.
  bool wait_for(const std::string& text);
  /// Until it ends. After 60 s it is killed.
  Ended wait();

 private:
  bool ended();
  void take_terminal_output();
  std::string error_text();

  std::filesystem::path out_, err_;
  std::chrono::steady_clock::time_point begin_;
  pid_t pid_ = 0;
  int terminal_ = -1;
  std::string terminal_text_;
  int status_ = 0;
  bool reaped_ = false;
};

/// Whether this machine has pseudo-terminals (Setup::err_terminal): a bare chroot has none.
bool has_terminals();
/// Runs the program to its end.
Ended run_program(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                  const Program::Environment& more = {}, const Setup& setup = {});

}  // namespace lenet_flow::test
