#pragma once

#include <cstddef>
#include <memory>

namespace cuda_emulation {

/// A function with a stack of its own that can stop in the middle and go on later, all in one thread of the system.
/// Switches by hand on x86-64 (a few nanoseconds) and by ucontext elsewhere (two system calls). Exceptions must not
/// leave the function.
class Fiber {
 public:
  using Function = void (*)(void* context);

  /// Nothing runs yet.
  Fiber(Function function, void* context);
  /// The function need not have ended; what lies on its stack is then given up without its destructors.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Runs the function from where it stopped until it calls leave(). Called outside of every fiber.
  void resume();
  /// Called by the function: goes back to who called resume(). The function must not return before a last leave().
  void leave();

 private:
  struct Context;

  void run();

  Function function_;
  void* context_;
  std::unique_ptr<std::byte[]> stack_;
  std::unique_ptr<Context> switch_;
};

}  // namespace cuda_emulation
