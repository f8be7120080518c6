#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>

#include "engine/data/catalog.h"
#include "engine/data/debian_package.h"
#include "engine/data/download.h"
#include "engine/graph/diagnostics.h"
#include "tests/engine/data/test_files.h"
#include "tests/engine/data/test_server.h"

using namespace lenet_flow;
using namespace lenet_flow::test;

namespace fs = std::filesystem;

namespace {

using Answer = TestServer::Answer;

constexpr int classes = 10, sheet_width = 2000, sheet_height = 1000;

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

Bytes some_bytes(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i * i / 7);
  return bytes;
}

DownloadOptions quick() { return {.https_only = false, .attempts = 4, .first_pause = std::chrono::milliseconds(1)}; }

void get(const std::string& address, const fs::path& part, const DownloadOptions& options = quick()) {
  download(address, part, options, nullptr);
}

std::string download_message(const std::string& address, const fs::path& part,
                             const DownloadOptions& options = quick()) {
  try {
    get(address, part, options);
  } catch (const DownloadError& error) {
    return error.what();
  }
  return "";
}

/// A picture of the size of digits.png: the pixel (x, y) of the digit at (row, column) is a known function.
std::uint8_t sheet_pixel(int row, int column, int y, int x) {
  return static_cast<std::uint8_t>(1 + (row * 97 + column * 13 + y * 5 + x) % 255);
}

Bytes sheet() {
  Bytes pixels(static_cast<std::size_t>(sheet_width) * sheet_height);
  for (int y = 0; y < sheet_height; ++y)
    for (int x = 0; x < sheet_width; ++x)
      pixels[static_cast<std::size_t>(y) * sheet_width + static_cast<std::size_t>(x)] =
          sheet_pixel(y / 20, x / 20, y % 20, x % 20);
  return png(sheet_height, sheet_width, 1, pixels, 4);
}

/// A .deb: an ar archive of debian-binary and data.tar.xz.
Bytes deb(const std::vector<std::pair<std::string, Bytes>>& files) {
  const Bytes data = tar(files, "xz");
  Bytes result(data.size() + 4096);
  std::size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_ar_svr4(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open_memory(writer, result.data(), result.size(), &used);
  for (const auto& [name, content] :
       {std::pair{std::string("debian-binary"), bytes_of("2.0\n")}, {"data.tar.xz", data}}) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_write_header(writer, entry);
    archive_write_data(writer, content.data(), content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  result.resize(used);
  return result;
}

/// The documented split and order (digits_sheet.h), checked pixel by pixel.
void check_digits(const fs::path& data_folder) {
  const DataSet set = open_data_set("digits", {data_folder});
  REQUIRE(set.train->size() == 4000);
  REQUIRE(set.test->size() == 1000);
  for (const bool training : {true, false}) {
    const Dataset& split = training ? *set.train : *set.test;
    const int columns = training ? 80 : 20, first = training ? 0 : 80;
    bool right = true;
    Bytes image(784);
    for (int i = 0; i < split.size(); ++i) {
      split.read(i, image);
      right = right && split.label(i) == i % classes;
      const int row = i % classes * 5 + i / classes / columns, column = first + i / classes % columns;
      for (int y = 0; y < 28; ++y)
        for (int x = 0; x < 28; ++x) {
          const bool border = y < 4 || y >= 24 || x < 4 || x >= 24;
          right = right &&
                  image[static_cast<std::size_t>(y * 28 + x)] == (border ? 0 : sheet_pixel(row, column, y - 4, x - 4));
        }
    }
    CHECK(right);
  }
}

/// A cache folder of the test's own.
struct Cache {
  TempFolder folder;
  Environment cache{"XDG_CACHE_HOME", folder.path().string()};
  fs::path data() const { return folder.path() / "lenet-flow/data"; }
};

fs::path fetch(const std::string& name, const std::string& from) { return fetch_data_set(name, from, nullptr); }

}  // namespace

TEST_CASE("a file is downloaded, with progress") {
  const Bytes body = some_bytes(300000);
  const TestServer server([&](const std::string&, int) { return Answer{.body = body}; });
  const TempFolder folder;
  std::uint64_t done = 0, total = 0;
  download(server.address() + "/a", folder.path() / "a", quick(), [&](std::uint64_t now, std::uint64_t all) {
    CHECK(now >= done);
    done = now;
    total = all;
  });
  CHECK(read_file(folder.path() / "a") == body);
  CHECK(done == body.size());
  CHECK(total == body.size());
}

TEST_CASE("a transfer that breaks off goes on where it stopped") {
  const Bytes body = some_bytes(100000);
  const TestServer server([&](const std::string&, int request) {
    return Answer{.body = body, .break_after = request < 2 ? std::size_t{30000} : SIZE_MAX};
  });
  const TempFolder folder;
  get(server.address() + "/a", folder.path() / "a");
  CHECK(read_file(folder.path() / "a") == body);
  CHECK(server.requests() == std::vector<std::string>{"/a", "/a bytes=30000-", "/a bytes=60000-"});
}

TEST_CASE("what an earlier run left is gone on with; a server without ranges begins anew") {
  const Bytes body = some_bytes(50000);
  for (const bool knows_ranges : {true, false}) {
    const TestServer server(
        [&](const std::string&, int) { return Answer{.body = body, .knows_ranges = knows_ranges}; });
    const TempFolder folder;
    folder.write("a", Bytes(body.begin(), body.begin() + 20000));
    get(server.address() + "/a", folder.path() / "a");
    CHECK(read_file(folder.path() / "a") == body);
    CHECK(server.requests().front() == "/a bytes=20000-");
    CHECK(server.requests().size() == (knows_ranges ? 1 : 2));
  }
}

TEST_CASE("a busy server is asked again; a missing file, a refusal and too much data are not") {
  const Bytes body = some_bytes(10);
  const TempFolder folder;
  {
    const TestServer server([&](const std::string&, int request) {
      return Answer{.status = request < 2 ? 503 : 200, .body = request < 2 ? Bytes{} : body};
    });
    get(server.address() + "/a", folder.path() / "a");
    CHECK(read_file(folder.path() / "a") == body);
    CHECK(server.requests().size() == 3);
  }
  {
    const TestServer server([&](const std::string&, int) { return Answer{.status = 404}; });
    CHECK(contains(download_message(server.address() + "/b", folder.path() / "b"), "404"));
    CHECK(server.requests().size() == 1);
  }
  {
    const TestServer server([&](const std::string&, int) { return Answer{.status = 503}; });
    CHECK(contains(download_message(server.address() + "/b", folder.path() / "b"), "503"));
    CHECK(server.requests().size() == 4);
  }
  {
    const TestServer server([&](const std::string&, int) { return Answer{.body = some_bytes(2000)}; });
    DownloadOptions options = quick();
    options.most_bytes = 1999;
    CHECK(contains(download_message(server.address() + "/b", folder.path() / "b", options), "more than 1999 bytes"));
    options = quick();
    options.https_only = true;
    CHECK(!download_message(server.address() + "/b", folder.path() / "c", options).empty());
    CHECK(server.requests().size() == 1);
  }
  const auto start = std::chrono::steady_clock::now();
  CHECK(!download_message("http://127.0.0.1:1/b", folder.path() / "c").empty());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
}

TEST_CASE("a wrong checksum is refused and leaves nothing behind") {
  const Cache cache;
  SUBCASE("of a mirror") {
    const TestServer server([&](const std::string&, int) { return Answer{.body = gzip(idx_images(3, 28, 28))}; });
    CHECK_THROWS_AS(fetch("mnist", server.address()), InputError);
    const std::string message = message_of([&] { fetch("mnist", server.address() + "/"); });
    CHECK(contains(message, server.address() + "/train-images-idx3-ubyte.gz: wrong checksum"));
  }
  SUBCASE("of a disk") {
    const TempFolder disk;
    disk.write("mnist/train-images-idx3-ubyte.gz", gzip(idx_images(3, 28, 28)));
    CHECK(contains(message_of([&] { fetch("mnist", disk.path().string()); }), "wrong checksum"));
  }
  CHECK(!fs::exists(cache.data() / "mnist"));
  CHECK(!fs::exists(cache.data() / "mnist.part"));
}

TEST_CASE("a set that cannot be had says from where, and what to type") {
  const Cache cache;
  const TempFolder disk;
  CHECK_THROWS_AS(fetch("mnist", disk.path().string()), MissingError);
  CHECK(contains(message_of([&] { fetch("mnist", disk.path().string()); }), disk.path().string()));
  const TestServer server([&](const std::string&, int) { return Answer{.status = 404}; });
  CHECK_THROWS_AS(fetch("mnist", server.address()), MissingError);
  const std::string message = message_of([&] { fetch("mnist", server.address()); });
  CHECK(contains(message, server.address() + "/mnist/train-images-idx3-ubyte.gz: "));
  CHECK(contains(message, "lenet-flow data get mnist --from DIR-or-URL"));
  CHECK(contains(message_of([&] { fetch("mnis", ""); }), "did you mean 'mnist'?"));
  CHECK(contains(message_of([&] { fetch("cats-dogs", ""); }), "--data DIR"));
  CHECK(!fs::exists(cache.data() / "mnist"));
}

TEST_CASE("digits come from the package, the picture, an address or another cache; the split is as documented") {
  const Cache cache;
  const TempFolder disk;
  const Bytes picture = sheet();
  const std::vector<std::pair<std::string, Bytes>> files{
      {"./usr/share/doc/opencv-doc/examples/data/other.png", Bytes(9)},
      {"./usr/share/doc/opencv-doc/examples/data/digits.png", picture}};
  disk.write("opencv-doc_4.6.0_all.deb", deb(files));
  SUBCASE("folder with the package") { CHECK(fetch("digits", disk.path().string()) == cache.data() / "digits"); }
  SUBCASE("package") { fetch("digits", (disk.path() / "opencv-doc_4.6.0_all.deb").string()); }
  SUBCASE("package with the picture packed") {
    disk.write("x.deb", deb({{"./a/examples/data/digits.png.gz", gzip(picture)}}));
    fetch("digits", (disk.path() / "x.deb").string());
  }
  SUBCASE("picture") {
    disk.write("digits.png", picture);
    fetch("digits", disk.path().string());
  }
  SUBCASE("address") {
    const TestServer server([&](const std::string&, int) { return Answer{.body = deb(files)}; });
    fetch("digits", server.address() + "/opencv-doc.deb");
  }
  SUBCASE("file address") { fetch("digits", "file://" + (disk.path() / "opencv-doc_4.6.0_all.deb").string()); }
  check_digits(cache.data());
  CHECK(!fs::exists(cache.data() / "digits.part"));
}

TEST_CASE("wrong sources of digits") {
  const Cache cache;
  const TempFolder disk;
  const auto message = [&](const std::string& name, const Bytes& bytes) {
    disk.write(name, bytes);
    CHECK_THROWS_AS(fetch("digits", (disk.path() / name).string()), InputError);
    return message_of([&] { fetch("digits", (disk.path() / name).string()); });
  };
  CHECK(contains(message("a.deb", deb({{"./x", Bytes(3)}})), "no /examples/data/digits.png in it"));
  CHECK(contains(message("b.png", png(20, 20, 1, Bytes(400))), "not the picture of digits: 20 x 20"));
  CHECK(contains(message("c", bytes_of("nothing")), "expected a PNG"));
  CHECK(contains(message("d", {}), "expected a PNG"));
  Bytes half = deb({{"./usr/share/doc/opencv-doc/examples/data/digits.png", sheet()}});
  half.resize(half.size() / 2);
  CHECK(contains(message("e.deb", half), "damaged package"));
  CHECK_THROWS_AS(fetch("digits", (disk.path() / "nowhere").string()), MissingError);
  const TestServer server([&](const std::string&, int) { return Answer{.status = 404}; });
  CHECK_THROWS_AS(fetch("digits", server.address() + "/x.deb"), MissingError);
  CHECK(!fs::exists(cache.data() / "digits"));
}

TEST_CASE("without apt-get, or where it has no such package, the error says what to type") {
  const TempFolder folder, programs;
  const Environment path("PATH", programs.path().string());
  const auto message = [&] {
    CHECK_THROWS_AS(download_debian_package("opencv-doc", folder.path(), nullptr), MissingError);
    return message_of([&] { download_debian_package("opencv-doc", folder.path(), nullptr); });
  };
  CHECK(contains(message(), "data get digits --from FILE.deb"));
  const auto write_apt_get = [&](const std::string& body) {
    programs.write("apt-get", "#!/bin/sh\n" + body);
    fs::permissions(programs.path() / "apt-get", fs::perms::owner_all);
  };
  write_apt_get("echo 'Reading lists'; echo 'E: Unable to locate package' \"$9\" >&2; exit 100\n");
  CHECK(contains(message(), "E: ") == false);
  CHECK(contains(message(), "Unable to locate package"));
  CHECK(contains(message(), "apt-get update"));
  write_apt_get("for last; do :; done; echo content > \"${last}_1_all.deb\"\n");
  std::uint64_t seen = 0;
  const fs::path deb_path =
      download_debian_package("opencv-doc", folder.path(), [&](std::uint64_t done) { seen = done; });
  CHECK(deb_path.filename() == "opencv-doc_1_all.deb");
  CHECK(seen <= 8);
}

TEST_CASE("a set under way elsewhere is not touched") {
  const Cache cache;
  const TempFolder disk;
  disk.write("digits.png", sheet());
  std::string inner;
  fetch_data_set("digits", "file://" + (disk.path() / "digits.png").string(),
                 [&](const std::string&, std::uint64_t, std::uint64_t) {
                   if (!inner.empty()) return;
                   try {
                     fetch("digits", disk.path().string());
                     inner = "was let in";
                   } catch (const std::runtime_error& error) {
                     inner = error.what();
                   }
                 });
  CHECK(contains(inner, "another lenet-flow"));
  check_digits(cache.data());
}

TEST_CASE("MNIST from a mirror and from a disk, where it is here") {
  const char* here = std::getenv("LENET_FLOW_DATA");
  if (here == nullptr || !fs::exists(fs::path(here) / "mnist/t10k-labels-idx1-ubyte.gz")) return;
  const Cache cache;
  SUBCASE("mirror that breaks off once") {
    const TestServer server([&](const std::string& path, int request) {
      return Answer{.body = read_file(fs::path(here) / path.substr(1)),
                    .break_after = request == 1 ? std::size_t{4000000} : SIZE_MAX};
    });
    // The first address tried is the mirror's own folder, then its folder "mnist".
    CHECK(fetch("mnist", server.address() + "/mnist") == cache.data() / "mnist");
  }
  SUBCASE("disk") { fetch("mnist", here); }
  for (const SetStatus& status : data_status({cache.data()}))
    if (status.name == "mnist") CHECK(status.state == SetStatus::State::whole);
  CHECK(fetch("mnist", "/nonexistent") == cache.data() / "mnist");  // whole: nothing to fetch
}
