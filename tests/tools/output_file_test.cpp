#include "tools/output_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <system_error>

#include "engine/graph/diagnostics.h"
#include "tests/tools/program.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

TEST_CASE("trying leaves nothing; writing leaves the file alone") {
  const TemporaryFolder folder;
  const OutputFile file("--json", folder / "result.json");
  CHECK(names_in(folder.path()).empty());
  file.write("one");
  file.write("two");
  CHECK(read_text(folder / "result.json") == "two");
  CHECK(names_in(folder.path()) == std::vector<std::string>{"result.json"});
}

TEST_CASE("what cannot be written is said before the work") {
  const TemporaryFolder folder;
  write_text(folder / "plain", "");
  CHECK_THROWS_AS(OutputFile("--json", folder.path()), InputError);
  CHECK_THROWS_AS(OutputFile("--json", folder / "nowhere/result.json"), InputError);
  CHECK_THROWS_AS(OutputFile("--json", folder / "plain/result.json"), InputError);
  CHECK_THROWS_AS(OutputFile("--json", ""), InputError);
  CHECK_THROWS_AS(OutputFile("--json", "/proc/result.json"), InputError);
  CHECK_THROWS_AS(check_output_folder("--checkpoint", folder / "plain"), InputError);
  CHECK_THROWS_AS(check_output_folder("--checkpoint", folder / "plain/below"), InputError);
  CHECK_THROWS_AS(check_output_folder("--checkpoint", "/proc/below"), InputError);
  CHECK_THROWS_AS(check_output_folder("--checkpoint", ""), InputError);
  CHECK_NOTHROW(check_output_folder("--checkpoint", folder / "new/and/deeper"));
  CHECK_NOTHROW(check_output_folder("--checkpoint", folder / "new/"));
  CHECK(names_in(folder.path()) == std::vector<std::string>{"plain"});
}

TEST_CASE("a device stays a device, a link stays a link") {
  const TemporaryFolder folder;
  OutputFile("--json", "/dev/null").write("gone");
  struct stat status {};
  REQUIRE(::stat("/dev/null", &status) == 0);
  CHECK(S_ISCHR(status.st_mode));

  write_text(folder / "target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  OutputFile("--json", folder / "link").write("new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(read_text(folder / "target") == "new");
}

TEST_CASE("a full disk leaves the old file and nothing else") {
  const TemporaryFolder folder;
  const OutputFile full("--json", "/dev/full");
  CHECK_THROWS_AS(full.write("text"), std::system_error);
}
