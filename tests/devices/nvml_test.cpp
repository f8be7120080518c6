#include "devices/cuda/nvml.h"

#include <doctest/doctest.h>

using namespace lenet_flow;

// FAKE_NVML: the library made of fake_nvml.cpp.

TEST_CASE("NVML's answers, by PCI address") {
  const Nvml nvml(FAKE_NVML);
  CHECK(nvml.why().empty());
  CHECK(nvml.driver_version() == "580.65.06");
  CHECK(nvml.free_bytes("0000:3B:00.0") == 600);
  CHECK(nvml.watts("0000:3B:00.0") == 70.5);
  const double first = nvml.energy("0000:3B:00.0").joules.value();
  CHECK(nvml.energy("0000:3B:00.0").joules.value() - first == doctest::Approx(1.5));
}

TEST_CASE("a GPU that NVML does not know") {
  const Nvml nvml(FAKE_NVML);
  CHECK_FALSE(nvml.free_bytes("0000:99:00.0"));
  CHECK_FALSE(nvml.watts("0000:99:00.0"));
  CHECK_FALSE(nvml.energy("0000:99:00.0").joules);
  CHECK(nvml.energy("0000:99:00.0").why == "NVML knows no GPU at 0000:99:00.0: Not Found");
}

TEST_CASE("without NVML, or with a library that is another, nothing is known and the reason is said") {
  const Nvml absent("libno_such_nvml.so.1");
  CHECK(absent.why() == "libno_such_nvml.so.1 was not found");
  CHECK(absent.driver_version().empty());
  CHECK_FALSE(absent.free_bytes("0000:3B:00.0"));
  CHECK(absent.energy("0000:3B:00.0").why == "libno_such_nvml.so.1 was not found");

  const Nvml other("libc.so.6");
  CHECK(other.why() == "libc.so.6 has no nvmlInit_v2");
  CHECK_FALSE(other.watts("0000:3B:00.0"));
}
