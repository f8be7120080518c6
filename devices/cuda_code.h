#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace lenet_flow {

/// Before the declaration of a function whose definition lies in a .cu file. A build without CUDA has no such
/// definition, and the function's address is null there (a weak reference of the linker), so that a layer needs no
/// list of what is built in, and no second definition that does nothing.
#define LENET_FLOW_CUDA_CODE [[gnu::weak]]

/// What `maker` makes of the arguments; null in a build without CUDA.
template <typename Result, typename... Parameters, typename... Arguments>
Result make_with_cuda(Result (*maker)(Parameters...), Arguments&&... arguments) {
  return maker ? maker(std::forward<Arguments>(arguments)...) : Result();
}

/// `function`, which is not null; throws std::logic_error in a build without CUDA, in the name of the loss or
/// optimizer.
template <typename Function>
Function* require_cuda(Function* function, const char* name) {
  if (!function) throw std::logic_error(std::string(name) + " has no code for this kind of device");
  return function;
}

}  // namespace lenet_flow
