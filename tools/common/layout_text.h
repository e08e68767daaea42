// Chosen layouts for a person, and as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "runtime/library/layout_record.h"

namespace lathe::tools {

/// The panel that a weight is packed in, and how the candidates stood.
struct LayoutChoice {
  std::string weight;  ///< "n=4096 k=2048 weight=bf16"
  int64_t panel = 0;
  std::vector<runtime::LayoutStanding> candidates;
  std::string why;
};

/// Of a record of the store.
Result<LayoutChoice> choice_of(const store::KeyedWinner& record, store::Store& store);

nlohmann::json layout_json(const LayoutChoice& choice);

/// "panel=16 1.000, panel=24 0.932, panel=32 1.071 (dropped)": each panel's sum over that of the
/// first.
std::string standings_text(const std::vector<runtime::LayoutStanding>& candidates);

/// A heading and a row for each, for format_table().
std::vector<std::vector<std::string>> layout_rows(const std::vector<LayoutChoice>& choices);

}  // namespace lathe::tools
