// The formats of kernel images by the names that artifacts have for them.
#pragma once

#include <string_view>

#include "codegen/kernel_image.h"

namespace lathe::runtime {

/// What kind of code it is and the version of that: "flat/1". A kind whose meaning changes gets a
/// new version; a new kind (PTX, machine code of a GPU) a new name.
Result<std::string_view> image_format_name(codegen::KernelImage::Format format);

/// unsupported for a name that this Lathe does not know, naming those it does.
Result<codegen::KernelImage::Format> parse_image_format(std::string_view name);

}  // namespace lathe::runtime
