#pragma once

#include <span>
#include <string>

namespace lenet_flow {

/// A library that is loaded while the program runs, so that the program starts where it is missing.
class SharedLibrary {
 public:
  /// Loads the first of these names (or paths) that the system's loader finds.
  explicit SharedLibrary(std::span<const std::string> names);
  ~SharedLibrary();
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  bool is_loaded() const { return handle_ != nullptr; }
  /// Why none was loaded: "libcuda.so.1 was not found". Empty where one was.
  const std::string& why() const { return why_; }
  /// The library's function of this name; null where it has none or is not loaded. `Function`: its type, which nobody
  /// checks.
  template <typename Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(address(name));
  }

 private:
  void* address(const char* name) const;

  void* handle_ = nullptr;
  std::string why_;
};

}  // namespace lenet_flow
