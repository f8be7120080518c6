#include "tests/cuda_emulation/fiber.h"

#include <cstdint>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
// Keeps the registers that a call must keep on the old stack, and takes those that lie on the new one. The
// floating-point control words are the same in all fibers.
//   void cuda_emulation_switch(void** old_stack, void* new_stack)
asm(R"(
.text
.globl cuda_emulation_switch
.type cuda_emulation_switch, @function
cuda_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_emulation_switch, .-cuda_emulation_switch
)");
extern "C" void cuda_emulation_switch(void** old_stack, void* new_stack);
#else
#include <ucontext.h>
#endif

namespace cuda_emulation {
namespace {

constexpr std::size_t stack_bytes = 256 * 1024;

/// The fiber that starts: the way its first function learns of itself. One grid runs at a time.
Fiber* starting = nullptr;

#if defined(__SANITIZE_THREAD__)
/// The thread sanitizer's idea of a fiber.
class SanitizedFiber {
 public:
  SanitizedFiber() : inside_(__tsan_create_fiber(0)) {}
  ~SanitizedFiber() { __tsan_destroy_fiber(inside_); }
  SanitizedFiber(const SanitizedFiber&) = delete;
  SanitizedFiber& operator=(const SanitizedFiber&) = delete;
  void enter() {
    outside_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(inside_, 0);
  }
  void exit() { __tsan_switch_to_fiber(outside_, 0); }

 private:
  void *inside_, *outside_ = nullptr;
};
#else
struct SanitizedFiber {
  void enter() {}
  void exit() {}
};
#endif

}  // namespace

#if defined(__x86_64__)
struct Fiber::Context {
  void *outside = nullptr, *inside = nullptr;
  // For the address sanitizer, which must know on which stack it is.
  void* fake_outside = nullptr;
  void* fake_inside = nullptr;
  const void* outside_bottom = nullptr;
  std::size_t outside_size = 0;
  SanitizedFiber sanitized;

  static void begin() {
    Fiber* fiber = starting;
    fiber->run();
  }
  void prepare(std::byte* stack) {
    // A begin() that was just called: 16-byte aligned before its return address was pushed.
    auto* top = reinterpret_cast<void**>(reinterpret_cast<std::uintptr_t>(stack + stack_bytes) & ~std::uintptr_t{15});
    *--top = nullptr;  // begin() never returns
    *--top = reinterpret_cast<void*>(&begin);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    inside = top;
  }
  void enter() { cuda_emulation_switch(&outside, inside); }
  void exit() { cuda_emulation_switch(&inside, outside); }
};
#else
struct Fiber::Context {
  ucontext_t outside{}, inside{};
  void* fake_outside = nullptr;
  void* fake_inside = nullptr;
  const void* outside_bottom = nullptr;
  std::size_t outside_size = 0;
  SanitizedFiber sanitized;

  static void begin() {
    Fiber* fiber = starting;
    fiber->run();
  }
  void prepare(std::byte* stack) {
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = stack_bytes;
    makecontext(&inside, &begin, 0);
  }
  void enter() { swapcontext(&outside, &inside); }
  void exit() { swapcontext(&inside, &outside); }
};
#endif

Fiber::Fiber(Function function, void* context)
    : function_(function),
      context_(context),
      stack_(new std::byte[stack_bytes]),  // not make_unique: it would clear what is never read
      switch_(std::make_unique<Context>()) {
  switch_->prepare(stack_.get());
}

Fiber::~Fiber() = default;

void Fiber::resume() {
  starting = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&switch_->fake_outside, stack_.get(), stack_bytes);
#endif
  switch_->sanitized.enter();
  switch_->enter();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(switch_->fake_outside, nullptr, nullptr);
#endif
}

void Fiber::leave() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&switch_->fake_inside, switch_->outside_bottom, switch_->outside_size);
#endif
  switch_->sanitized.exit();
  switch_->exit();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(switch_->fake_inside, &switch_->outside_bottom, &switch_->outside_size);
#endif
}

void Fiber::run() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &switch_->outside_bottom, &switch_->outside_size);
#endif
  function_(context_);
  std::abort();  // it must leave(), not return
}

}  // namespace cuda_emulation
