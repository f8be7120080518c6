#include "devices/shared_library.h"

#include <dlfcn.h>

namespace lenet_flow {
namespace {

/// glibc names the file that it looked for: the library itself, or one that the library needs.
std::string why_not_loaded(const std::string& name) {
  const char* said = dlerror();
  const std::string text = said ? said : "the loader does not say why";
  const bool is_absent = text.starts_with(name + ": ") && text.find("No such file") != std::string::npos;
  return is_absent ? name + " was not found" : name + " cannot be loaded (" + text + ")";
}

}  // namespace

SharedLibrary::SharedLibrary(std::span<const std::string> names) {
  for (const std::string& name : names) {
    handle_ = dlopen(name.c_str(), RTLD_LAZY | RTLD_LOCAL);
    if (handle_) {
      why_.clear();
      return;
    }
    why_ += (why_.empty() ? "" : ", ") + why_not_loaded(name);
  }
}

SharedLibrary::~SharedLibrary() {
  if (handle_) dlclose(handle_);
}

void* SharedLibrary::address(const char* name) const { return handle_ ? dlsym(handle_, name) : nullptr; }

}  // namespace lenet_flow
