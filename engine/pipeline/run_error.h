#pragma once

#include <stdexcept>

namespace lenet_flow {

/// A kernel that threw, or numbers that went bad: the run failed. what() names layer, device, stage and micro-batch.
/// Exit code 1.
class RunError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace lenet_flow
