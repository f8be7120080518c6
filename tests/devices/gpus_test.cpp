#include "devices/gpus.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "devices/pci_place.h"
#include "devices/shared_library.h"
#include "tests/engine/training/temporary_folder.h"

using namespace lenet_flow;

namespace {

/// Everything is there and CUDA found no GPU.
GpuClues bare_machine() {
  GpuClues clues;
  clues.built_with_cuda = true;
  clues.cuda = {13000, 13000, "cudaErrorNoDevice", "no CUDA-capable device is detected", {}};
  return clues;
}

Gpu gpu(int index, const char* name) {
  Gpu gpu;
  gpu.index = index;
  gpu.name = name;
  return gpu;
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("why there is no GPU: each cause in its own words") {
  GpuClues clues = bare_machine();
  CHECK(why_no_gpus(clues) == "this machine has no NVIDIA GPU");
  clues.visible = "";
  CHECK(why_no_gpus(clues) == "CUDA_VISIBLE_DEVICES is '', which leaves none of this machine's GPUs");
  clues.closed_node = "/dev/nvidia0 cannot be opened: Permission denied";
  CHECK(why_no_gpus(clues) ==
        "/dev/nvidia0 cannot be opened: Permission denied (cudaErrorNoDevice, no CUDA-capable device is detected)");

  clues = bare_machine();
  clues.cuda.error_name = "cudaErrorInsufficientDriver";
  clues.cuda.driver_version = 12040;
  CHECK(why_no_gpus(clues) == "the NVIDIA driver is too old: it can do CUDA 12.4, this program needs 13.0");
  clues.cuda.error_name = "cudaErrorStubLibrary";
  CHECK(why_no_gpus(clues) == "libcuda.so.1 is the CUDA Toolkit's stand-in for it, not an NVIDIA driver");
  clues.cuda.error_name = "cudaErrorSystemNotReady";
  clues.cuda.error_text = "system not yet initialized";
  CHECK(why_no_gpus(clues) == "CUDA does not start: cudaErrorSystemNotReady, system not yet initialized");

  clues = bare_machine();
  clues.driver_library = "libcuda.so.1 was not found";
  CHECK(why_no_gpus(clues) == "no NVIDIA driver: libcuda.so.1 was not found");
  clues.kernel_module = true;
  CHECK(
      why_no_gpus(clues) ==
      "the NVIDIA driver is loaded, but not its library: libcuda.so.1 was not found; a container must be started with "
      "access to GPUs");
  clues.built_with_cuda = false;
  CHECK(why_no_gpus(clues) == "this program was built without CUDA");
}

TEST_CASE("why there is no GPU of a number") {
  GpuSearch search;
  search.why_none = "no driver";
  CHECK(search.why_no(0) == "no driver");
  search.why_none.clear();
  search.gpus = {gpu(0, "NVIDIA H200")};
  CHECK(search.why_no(0).empty());
  CHECK(search.why_no(3) == "there is no GPU 3: this machine has 1 (0: NVIDIA H200)");
  search.gpus.push_back(gpu(1, "NVIDIA L4"));
  search.gpus[1].why_unusable = "no code for it";
  search.visible = "5,2";
  CHECK(search.why_no(1) == "no code for it");
  CHECK(search.why_no(2) ==
        "there is no GPU 2: this machine has 2 (0: NVIDIA H200, 1: NVIDIA L4), as CUDA_VISIBLE_DEVICES is '5,2'");
}

TEST_CASE("the search agrees with itself on whatever machine this is") {
  const GpuSearch search = find_gpus();
  CHECK(search.gpus.empty() == !search.why_none.empty());
  for (std::size_t i = 0; i < search.gpus.size(); ++i) {
    CHECK(search.gpus[i].index == static_cast<int>(i));
    CHECK(search.gpus[i].memory_bytes > 0);
  }
  CHECK(!search.why_no(1000).empty());
}

TEST_CASE("code runs on later GPUs of its major version, the last architecture's on all later ones") {
  CHECK(has_code_for({75, 80, 90}, 7, 5));
  CHECK(has_code_for({75, 80, 90}, 8, 9));
  CHECK(has_code_for({75, 80, 90}, 12, 0));
  CHECK(has_code_for({75}, 9, 0));
  CHECK_FALSE(has_code_for({75, 80, 90}, 7, 0));
  CHECK_FALSE(has_code_for({75, 90}, 8, 0));
  CHECK_FALSE(has_code_for({}, 9, 0));
}

TEST_CASE("CUDA's version numbers") {
  CHECK(cuda_version_text(13000) == "13.0");
  CHECK(cuda_version_text(12080) == "12.8");
}

TEST_CASE("a device file that this user may not open is named") {
  const TemporaryFolder folder;
  CHECK(closed_device_node(folder.path()).empty());
  write(folder.path() / "nvidiactl", "");
  CHECK(closed_device_node(folder.path()).empty());
  if (geteuid() == 0) return;  // may open everything
  chmod((folder.path() / "nvidiactl").c_str(), 0);
  CHECK(closed_device_node(folder.path()) ==
        (folder.path() / "nvidiactl").string() + " cannot be opened: Permission denied");
}

TEST_CASE("Linux's lists of cores") {
  CHECK(parse_cpu_list("0-2,5") == std::vector<int>{0, 1, 2, 5});
  CHECK(parse_cpu_list("7") == std::vector<int>{7});
  for (const char* wrong : {"", "a", "3-1", "1,", "1-", "-1", "2,1", "1,1", "1;2", "0-99999999", "99999999999999"})
    CHECK_MESSAGE(parse_cpu_list(wrong).empty(), wrong);
}

TEST_CASE("where a GPU is plugged in: NUMA node and cores, from files like Linux's") {
  const TemporaryFolder folder;
  const std::filesystem::path at = folder.path() / "0000:3b:00.0";
  write(at / "numa_node", "1\n");
  write(at / "local_cpulist", "2-3,6\n");
  const PciPlace place = pci_place("0000:3B:00.0", folder.path());
  CHECK(place.numa_node == 1);
  CHECK(place.cores == std::vector<int>{2, 3, 6});
  write(at / "numa_node", "-1\n");
  write(at / "local_cpulist", "nonsense\n");
  CHECK(pci_place("0000:3b:00.0", folder.path()).numa_node == -1);
  CHECK(pci_place("0000:3b:00.0", folder.path()).cores.empty());
  CHECK(pci_place("0000:99:00.0", folder.path()).numa_node == -1);
}

TEST_CASE("a library that is not there, or is no library, says so") {
  const std::string absent[] = {"libno_such_thing.so.1", "libno_such_thing.so.0"};
  const SharedLibrary none(absent);
  CHECK_FALSE(none.is_loaded());
  CHECK(none.why() == "libno_such_thing.so.1 was not found, libno_such_thing.so.0 was not found");
  CHECK(!none.function<int()>("getpid"));

  const TemporaryFolder folder;
  const std::string text[] = {(folder.path() / "text.so").string()};
  write(text[0], "not a library");
  CHECK(SharedLibrary(text).why().starts_with(text[0] + " cannot be loaded ("));

  const std::string there[] = {"libno_such_thing.so.1", "libc.so.6"};
  const SharedLibrary c(there);
  CHECK(c.is_loaded());
  CHECK(c.why().empty());
  CHECK(c.function<int()>("getpid")() == getpid());
}
