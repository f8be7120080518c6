// A stand-in for NVIDIA's management library with one GPU, whose energy counter moves by 1.5 J each time it is read.

#include <cstring>

namespace {

constexpr int success = 0, not_found = 6;
constexpr const char* bus_id = "0000:3B:00.0";
int the_gpu = 0;
unsigned long long millijoules = 1000;

}  // namespace

struct Memory {
  unsigned long long total, free, used;
};

extern "C" {
int nvmlInit_v2() { return success; }
int nvmlShutdown() { return success; }
const char* nvmlErrorString(int error) { return error == not_found ? "Not Found" : "Success"; }
int nvmlSystemGetDriverVersion(char* version, unsigned length) {
  std::strncpy(version, "580.65.06", length);
  return success;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* id, void** gpu) {
  if (std::strcmp(id, bus_id) != 0) return not_found;
  *gpu = &the_gpu;
  return success;
}
int nvmlDeviceGetMemoryInfo(void* gpu, Memory* memory) {
  *memory = {1000, 600, 400};
  return gpu == &the_gpu ? success : not_found;
}
int nvmlDeviceGetPowerUsage(void* gpu, unsigned* milliwatts) {
  *milliwatts = 70500;
  return gpu == &the_gpu ? success : not_found;
}
int nvmlDeviceGetTotalEnergyConsumption(void* gpu, unsigned long long* total) {
  *total = millijoules += 1500;
  return gpu == &the_gpu ? success : not_found;
}
}
