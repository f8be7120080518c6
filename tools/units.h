#pragma once

#include <cstdint>
#include <string>
#include <vector>

// Numbers as people read them. The decimal point is a point in every locale.

namespace lenet_flow {

/// 1234567 -> "1,234,567".
std::string count_text(std::int64_t count);
/// 11878 -> "11.6 KiB".
std::string bytes_text(std::uint64_t bytes);
/// What a change of memory from `before` to `after` comes to: "2.1 MiB saved", "64 B more", "nothing".
std::string saving_text(std::uint64_t before, std::uint64_t after);
/// 416520 -> "416.5 k": three to four digits and k, M, G, T. Below 1000: "84".
std::string amount_text(double amount);
/// "12 us", "3.4 ms", "4.91 s", "1 min 02 s", "2 h 05 min". Not known (NaN): "-".
std::string duration_text(double seconds);
/// 0.9891 -> "98.91%", with `digits` digits after the point. Not known (NaN): "-".
std::string percent_text(double share, int digits = 2);
/// A loss or a rate with four to six significant digits. Not known (NaN): "-".
std::string number_text(double number);

/// "conv1 relu1 ... fc3 (12)": names from both ends, as many as fit in `columns`; all of them where they fit.
std::string shortened_list(const std::vector<std::string>& names, std::size_t columns);
/// "2 epochs", "1 epoch", "4 batches".
std::string plural(std::int64_t count, const std::string& thing);

}  // namespace lenet_flow
