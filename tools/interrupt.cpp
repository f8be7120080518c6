#include "tools/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "tools/exit_code.h"

namespace lenet_flow {
namespace {

std::atomic<int> requests{0};
std::atomic<bool> gentle{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

/// Runs inside the signal: only calls that are safe there.
extern "C" void on_stop_signal(int) {
  const int saved = errno;
  if (requests.fetch_add(1) > 0 || !gentle.load()) _exit(static_cast<int>(ExitCode::interrupted));
  constexpr char message[] = "\nlenet-flow: stopping after what is in flight; once more stops now\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message, sizeof(message) - 1);
  errno = saved;
}

}  // namespace

void handle_signals() {
  struct sigaction action {};
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_stop_signal;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

void stop_gently() { gentle.store(true); }

const std::atomic<int>* stop_requests() { return &requests; }

}  // namespace lenet_flow
