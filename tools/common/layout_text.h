// Chosen layouts for a person, and as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "compiler/shared_operand.h"
#include "runtime/library/layout_record.h"

namespace lathe::tools {

/// The layout that a shared operand has, and how the candidates stood.
struct LayoutChoice {
  const compiler::SharedOperand* operand = nullptr;
  std::string identity;  ///< "n=4096 k=2048 weight=bf16"
  std::string layout;    ///< "24"
  std::vector<runtime::LayoutStanding> candidates;
  std::string why;

  std::string name() const;         ///< "weight n=4096 k=2048 weight=bf16"
  std::string layout_text() const;  ///< "panel=24"
};

/// The kind whose record this is; null of other records.
const compiler::SharedOperand* operand_of(const store::KeyedWinner& record);

/// Of a record of the store, which is one of a kind.
Result<LayoutChoice> choice_of(const store::KeyedWinner& record, store::Store& store);

nlohmann::json layout_json(const LayoutChoice& choice);

/// "weights": the field that has the choices of a kind.
std::string field_of(const compiler::SharedOperand& operand);
/// An empty list of every kind.
nlohmann::json empty_layouts();

/// "panel=16 1.000, panel=24 0.932, panel=32 1.071 (dropped)": each layout's sum over that of the
/// first.
std::string standings_text(const LayoutChoice& choice);

/// A sentence about the layouts that are faster than the default, and by how much; empty where none
/// is.
std::string layout_gains_text(const std::vector<LayoutChoice>& choices);

/// A heading and a row for each, for format_table().
std::vector<std::vector<std::string>> layout_rows(const std::vector<LayoutChoice>& choices);

}  // namespace lathe::tools
