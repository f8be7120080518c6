#include <cstdio>

#include "tests/cuda_emulation/capture.h"
#include "tests/cuda_emulation/devices.h"
#include "tests/cuda_emulation/memory.h"

using cuda_emulation::call;
using cuda_emulation::call_on;
using cuda_emulation::current_device;
using cuda_emulation::runtime;

namespace {

constexpr int multiprocessors = 1, major_capability = 9, minor_capability = 0, cuda_version = 13000;

cudaError_t no_such_device() { return runtime.device_count == 0 ? cudaErrorNoDevice : cudaErrorInvalidDevice; }

}  // namespace

cudaError_t cudaDriverGetVersion(int* version) {
  *version = cuda_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = cuda_version;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int* count) {
  return call([&] {
    *count = runtime.device_count;
    return *count == 0 ? cudaErrorNoDevice : cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return call([&] {
    if (!runtime.has_device(device)) return no_such_device();
    current_device = device;
    return runtime.device(device).error;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call([&] {
    if (!runtime.has_device(device)) return no_such_device();
    *properties = {"emulated GPU", cuda_emulation::total_bytes(device), major_capability, minor_capability,
                   multiprocessors};
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return call([&] {
    if (!runtime.has_device(device)) return no_such_device();
    switch (attribute) {
      case cudaDevAttrMultiProcessorCount: *value = multiprocessors; return cudaSuccess;
      case cudaDevAttrCanMapHostMemory: *value = 1; return cudaSuccess;
      case cudaDevAttrAsyncEngineCount: *value = 2; return cudaSuccess;
      case cudaDevAttrUnifiedAddressing: *value = 1; return cudaSuccess;
      case cudaDevAttrComputeCapabilityMajor: *value = major_capability; return cudaSuccess;
      case cudaDevAttrComputeCapabilityMinor: *value = minor_capability; return cudaSuccess;
    }
    return cudaErrorInvalidValue;
  });
}

cudaError_t cudaDeviceGetPCIBusId(char* id, int length, int device) {
  return call([&] {
    if (!runtime.has_device(device)) return no_such_device();
    const int written = std::snprintf(id, static_cast<std::size_t>(length), "0000:%02X:00.0", device + 1);
    return written < length ? cudaSuccess : cudaErrorInvalidValue;
  });
}

cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int* can, int device, int peer) {
  return call([&] {
    if (!runtime.has_device(device) || !runtime.has_device(peer)) return no_such_device();
    *can = device != peer && runtime.peers_possible ? 1 : 0;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned flags) {
  return call_on(current_device, [&] {
    if (!runtime.has_device(peer) || peer == current_device) return cudaErrorInvalidDevice;
    if (flags != 0) return cudaErrorInvalidValue;
    if (!runtime.peers_possible) return cudaErrorPeerAccessUnsupported;
    bool& reaches = runtime.device(current_device).reaches[static_cast<std::size_t>(peer)];
    if (reaches) return cudaErrorPeerAccessAlreadyEnabled;
    reaches = true;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceSynchronize() {
  return call_on(current_device, [] {
    if (const cudaError_t error = cuda_emulation::forbid_in_capture()) return error;
    count(&cuda_emulation::Counters::synchronizations);
    return cuda_emulation::run_until(current_device, [] { return cuda_emulation::is_device_done(current_device); });
  });
}
