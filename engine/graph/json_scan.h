#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "engine/graph/problems.h"
#include "engine/graph/source_text.h"

namespace lenet_flow {

/// What jsoncpp does not tell about a JSON text: where each object's keys stand, in their order, those that stand
/// twice too. Also finds, before any parser recurses, what would hurt one: depth, number of values, strings that are
/// not closed on their line. Reads any bytes; what it says of keys holds where the text is JSON.
class JsonScan {
 public:
  JsonScan(const SourceText& source, Problems& problems);

  /// The text with blanks in place of its comments, so that offsets stay. jsoncpp takes comments in some places only:
  /// not between a trailing comma and the bracket, where people comment a list's last entry out.
  const std::string& text_without_comments() const { return plain_; }
  /// The keys, quotes included, of the object whose '{' is at `offset`.
  const std::vector<Place>& keys(std::size_t offset) const;

 private:
  struct Open {
    char bracket = 0;
    std::size_t offset = 0;
    bool at_key = false;  ///< the next string is a key
  };

  void scan();
  void skip_comment();
  void blank_out(std::size_t end);
  void scan_string();
  bool open(char bracket);
  void fail(std::size_t offset, std::string message);

  const SourceText& source_;
  const std::string& text_;
  std::string plain_;
  Problems& problems_;
  std::size_t at_ = 0, values_ = 0;
  bool failed_ = false;
  std::vector<Open> open_;
  std::unordered_map<std::size_t, std::vector<Place>> keys_;
};

}  // namespace lenet_flow
