#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "devices/device.h"

namespace lenet_flow {

/// A set of CPU cores as one device: a oneTBB task arena of as many slots, its threads pinned to the cores.
/// Activations lie in the standard layout [image][channel][row][column].
class CpuDevice final : public Device {
 public:
  /// `cores`: numbers of Machine::cores(), at least one.
  CpuDevice(std::string name, std::vector<int> cores);
  ~CpuDevice() override;

  const std::vector<int>& cores() const { return cores_; }

  DeviceKind kind() const override { return DeviceKind::cpu; }
  std::string description() const override;
  WorkQueue& queue() override;
  void run_host(const std::function<void()>& body) override;

  std::byte* allocate(std::size_t bytes) override;
  std::int64_t activation_floats(const Shape& shape, std::int64_t images) const override;
  void write_activation(std::span<const float> from, const Tensor& to) override;
  void read_activation(const Tensor& from, std::span<float> to) override;
  void write_parameter(std::span<const float> from, const ParameterView& to) override;
  void read_parameter(const ParameterView& from, std::span<float> to) override;
  void write_bytes(std::span<const std::byte> from, std::byte* to) override;
  void read_bytes(const std::byte* from, std::span<std::byte> to) override;
  void accumulate(WorkQueue& queue, const float* from, float* to, std::int64_t floats, bool first) override;

 private:
  class Queue;
  std::vector<int> cores_;
  std::unique_ptr<Queue> queue_;
  struct AlignedDelete {
    void operator()(std::byte* block) const;
  };
  std::vector<std::unique_ptr<std::byte[], AlignedDelete>> blocks_;
};

}  // namespace lenet_flow
