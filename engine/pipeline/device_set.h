#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "devices/device.h"
#include "engine/graph/graph_file.h"
#include "engine/training/result.h"

namespace lenet_flow {

/// A right to use some cores that goes round in the order of asking. Devices that share cores take it for each of
/// their actions, so that one action never slows another unseen: waiting for it is the state `contended`.
class CoreTurn {
 public:
  void take();
  void give();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t next_ = 0, serving_ = 0;
};

/// The devices of a graph file, put on what this machine has. Devices of the file that --map puts on one another
/// become one device here.
class DeviceSet {
 public:
  /// Adds a line to `warnings` for each device that is not what was asked. Throws MissingError where the machine
  /// lacks a device and the file says no `otherwise`, InputError where --map goes round in a circle.
  DeviceSet(const GraphFile& file, std::vector<std::string>& warnings);

  int size() const { return static_cast<int>(devices_.size()); }
  Device& device(int index) const { return *devices_[static_cast<std::size_t>(index)]; }
  /// The device behind a name of the file that some layer uses.
  int index_of(const std::string& name) const { return index_of_.at(name); }
  /// Whether some layer uses the device of that name in the file.
  bool has(const std::string& name) const { return index_of_.contains(name); }
  /// Null where the device has its cores for itself.
  CoreTurn* turn(int index) const { return turns_[static_cast<std::size_t>(index)].get(); }
  /// One a device of the file, in its order, memory filled in.
  std::vector<DeviceResult> results() const;

 private:
  bool place_on_gpu(const DeviceEntry& entry);
  void place_on_cpu(const DeviceEntry& entry, const GraphFile& file, DeviceResult& result,
                    std::vector<std::string>& warnings);
  std::vector<int> allot_cores(int count);
  void share_turns(std::vector<std::string>& warnings);

  std::map<int, int> load_;  ///< core -> devices on it
  std::vector<std::unique_ptr<Device>> devices_;
  std::vector<std::shared_ptr<CoreTurn>> turns_;
  std::map<std::string, int> index_of_;
  std::vector<DeviceResult> results_;
};

}  // namespace lenet_flow
