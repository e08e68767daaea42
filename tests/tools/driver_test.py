"""lathe: runs graphs on every path alike, prints and emits, times, lists, and refuses bad input."""

import json
import math
import os
import random
import subprocess
import unittest

from tests.tools.programs import GRAPH, PATIENCE_S, ProgramTest, read_npy, write_npy

PROBLEM = "rms_norm rows=8 width=72"
BENCH_FIELDS = ("problem", "at", "cpu", "cpu_caches", "cache", "target", "schedule", "threads", "median_ns", "min_ns", "gflops",
                "gbytes_per_s", "roofline_fraction", "roof_gflops", "roof_gbytes_per_s")
FAMILIES = ("rms_norm", "layer_norm", "normalize", "softmax", "gelu", "silu", "relu", "swiglu", "rope",
            "elementwise", "embedding", "quantize")


class Driver(ProgramTest):
    PROGRAM = "LATHE"

    def inputs(self, rows=5):
        values = random.Random(1)
        arguments = []
        for name, shape in (("x", (rows, 72)), ("w", (72,)), ("u", (rows, 72))):
            write_npy(self.path(name + ".npy"), shape, [values.gauss(0, 1) for _ in range(math.prod(shape))])
            arguments += ["--in", f"{name}={self.path(name + '.npy')}"]
        return arguments

    def test_every_path_gives_the_same_result(self):
        inputs = self.inputs()
        results = {}
        for target in ("reference", "interpret", "scalar", "sse", "native"):
            out = self.path(target + ".npy")
            where = () if target == "native" else ("--target", target)
            document = self.run_json("run", self.path("block.lir"), *inputs, "--out", f"y={out}", "--db", "none",
                                     *where)
            self.assertEqual(document["outputs"][0]["shape"], [5, 72])
            self.assertEqual(bool(document["steps"]), target != "reference")
            results[target] = read_npy(out)
        for target, values in results.items():
            for found, expected in zip(values, results["reference"], strict=True):
                self.assertAlmostEqual(found, expected, delta=1e-5 * max(1, abs(expected)), msg=target)
        self.assertGreater(max(map(abs, results["reference"])), 0.1)

    def test_output_that_does_not_get_through_is_an_error(self):
        for arguments in (("catalog",), ("--json", "catalog"), ("--help",), ("print", self.path("block.lir")),
                          ("emit", "--problem", PROBLEM)):
            self.assert_lost_output_is_an_error(*arguments)

    def test_no_state_of_the_standard_descriptors_changes_a_result(self):
        expected = self.run_json("print", self.path("block.lir"))
        for closed in ((0,), (2,), (0, 2)):
            before = lambda: [os.close(descriptor) for descriptor in closed]
            self.assertEqual(self.run_json("print", self.path("block.lir"), before=before), expected, closed)
        process = self.start("catalog", before=lambda: os.close(1))
        _, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual(process.returncode, 2)
        self.assertIn("not all could be written", err)
        for before in (lambda: os.close(2), lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), 2)):
            process = self.start("print", self.path("none.lir"), before=before)
            out, _ = process.communicate(timeout=PATIENCE_S)
            self.assertEqual((process.returncode, out), (2, ""))

    def test_options_take_one_value_each(self):
        document = self.run_json("run", *self.inputs(), self.path("block.lir"), "--db", "none")
        self.assertEqual(document["outputs"][0]["shape"], [5, 72])

    def test_emit_tells_what_it_wrote(self):
        out = self.path("kernel.txt")
        document = self.run_json("emit", "--problem", PROBLEM, "--as", "program", "--out", out)
        self.assertEqual(document["out"], out)
        with open(out, "rb") as file:
            self.assertEqual(len(file.read()), document["bytes"])

    def test_products_run_through_packed_weights(self):
        with open(self.path("mlp.lir"), "w", encoding="utf-8") as file:
            file.write("graph mlp(%x: f32[tokens, 72], %g: f32[40, 72], %u: f32[40, 72], %d: f32[72, 40], "
                       "%b: f32[72]) -> (%y) {\n  %a = linear(%x, %g)\n  %c = linear(%x, %u)\n"
                       "  %s = swiglu(%a, %c)\n  %o = linear(%s, %d, %b)\n  %y = add(%x, %o)\n}\n")
        values, inputs = random.Random(2), []
        for name, shape in (("x", (5, 72)), ("g", (40, 72)), ("u", (40, 72)), ("d", (72, 40)), ("b", (72,))):
            path = self.path(f"mlp-{name}.npy")
            write_npy(path, shape, [values.gauss(0, 1) for _ in range(math.prod(shape))])
            inputs += ["--in", f"{name}={path}"]
        results = {}
        for target in ("reference", "interpret", "sse", "native"):
            out = self.path(f"mlp-{target}.npy")
            where = () if target == "native" else ("--target", target)
            document = self.run_json("run", self.path("mlp.lir"), *inputs, "--out", f"y={out}", "--db", "none", *where)
            results[target] = read_npy(out)
            if target != "reference":
                self.assertEqual([step["step"].split()[0] for step in document["steps"]],
                                 ["pack", "linear", "pack", "linear"])
        for target, found in results.items():
            for value, expected in zip(found, results["reference"], strict=True):
                self.assertAlmostEqual(value, expected, delta=2e-5 * max(10, abs(expected)), msg=target)

    def test_a_run_says_what_had_no_kernel(self):
        mixed = self.write("mixed.lir", "graph mixed(%x: f32[tokens, 72], %w: f32[72], %u: f32[tokens, 72]) -> (%y) {\n"
                           "  %n = rms_norm(%x, %w)\n  %s = softmax(%n) {axis = 0}\n  %y = mul(%s, %u)\n}\n")
        run, out = ("run", mixed, *self.inputs(), "--db", "none", "--threads", "1"), self.path("y.npy")

        nodes = self.run_json(*run)["interpreted"]
        self.assertEqual([(node["results"], node["op"], node["line"]) for node in nodes], [("%s", "softmax", 3)])
        self.assertIn("last dimension", nodes[0]["reason"])
        nodes = self.run_json(*run, "--target", "interpret")["interpreted"]
        self.assertEqual([node["results"] for node in nodes], ["%s"])
        nodes = self.run_json(*run, "--target", "reference")["interpreted"]
        self.assertEqual([node["results"] for node in nodes], ["%n", "%s", "%y"])
        process = self.start(*run)
        printed, err = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((process.returncode, printed), (0, "%y: f32[5,72]\n"))
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertIn("reference interpreter: %s = softmax in line 3: ", err)

        self.assert_error(*run, "--strict", "--out", f"y={out}",
                          says=("--strict", "1 of 3 nodes", "%s = softmax in line 3: ", "leave --strict out"))
        self.assertFalse(os.path.exists(out))
        self.assert_error(*run, "--strict", "--target", "reference", says=("--strict", "--target reference"))

    def test_a_graph_of_kernels_runs_strictly(self):
        run = ("run", self.path("block.lir"), *self.inputs(), "--db", "none", "--threads", "1")
        self.assertEqual(self.run_json(*run, "--strict")["interpreted"], [])
        for where in ((), ("--strict",), ("--target", "reference")):
            process = self.start(*run, *where)
            out, err = process.communicate(timeout=PATIENCE_S)
            self.assertEqual((process.returncode, out, err), (0, "%y: f32[5,72]\n", ""), where)

    def test_print_shows_the_graph_and_its_lowering(self):
        self.assertIn("rms_norm(%x, %w)", self.run_json("print", self.path("block.lir"))["text"])
        lowered = self.run_json("print", self.path("block.lir"), "--after", "all", "--at", "tokens=4")["text"]
        self.assertIn("arena", lowered)
        self.assertEqual(lowered.count("rms_norm"), 1)
        self.assertEqual(self.run_json("check", self.path("block.lir"))["nodes"], 3)

    def test_emit_gives_every_form(self):
        for form, target, says in (("program", "avx2", "program rms_norm"), ("plan", "avx2", "rms_norm"),
                                   ("asm", "avx2", "ymm"), ("asm", "sse", "xmm"), ("llvm", "llvm", "define")):
            with self.subTest(form=form, target=target):
                text = self.run_json("emit", "--problem", PROBLEM, "--as", form, "--target", target)["text"]
                self.assertIn(says, text)
        out = self.path("kernel.o")
        subprocess.run([self.program, "emit", "--problem", PROBLEM, "--as", "object", "--target", "llvm",
                        "--cpu", "haswell", "--out", out], check=True)
        with open(out, "rb") as file:
            self.assertEqual(file.read(4), b"\x7fELF")

    def test_an_artifact_is_written_read_and_timed(self):
        header = json.loads(self.run_json("emit", "--problem", PROBLEM, "--as", "artifact", "--target", "sse")["text"])
        self.assertEqual(header["target"]["name"], "sse")
        self.assertEqual(header["images"][0]["format"], "flat/1")
        files = [self.path("one.artifact"), self.path("two.artifact")]
        for file in files:
            self.run_json("emit", "--problem", PROBLEM, "--as", "artifact", "--target", "sse", "--out", file)
        contents = []
        for file in files:
            with open(file, "rb") as artifact:
                contents.append(artifact.read())
        self.assertEqual(contents[0], contents[1])
        timed = ("bench", "--at", "rows=8", "--cache", "warm", "--threads", "1", "--seconds", "0.2", "--db", "none")
        document = self.run_json(*timed, "--artifact", files[0])
        for field in BENCH_FIELDS:
            self.assertIn(field, document)
        self.assertEqual((document["match"], document["target"], document["problem"]),
                         ("artifact", "sse", header["problem"]))
        with open(files[1], "wb") as artifact:
            artifact.write(contents[1][:-1])
        self.assert_error(*timed, "--artifact", files[1], says=("two.artifact", "cut short"))
        self.assert_error(*timed, "--artifact", files[0], "--problem", PROBLEM, says=("--problem", "--artifact"))
        self.assert_error(*timed, "--artifact", files[0], "--schedule", "unroll=1", says=("--schedule",))
        self.assert_error(*timed, says=("--problem", "--artifact"))

    def test_bench_gives_every_field(self):
        document = self.run_json("bench", "--problem", PROBLEM, "--at", "rows=8", "--cache", "warm", "--threads",
                                 "1", "--seconds", "0.2", "--db", "none")
        for field in BENCH_FIELDS:
            self.assertIn(field, document)
        self.assertGreaterEqual(document["median_ns"], document["min_ns"])
        self.assertGreater(document["min_ns"], 0)

    def test_interpreting_can_be_forced(self):
        """What the message about executable memory advises."""
        run = ("run", self.path("block.lir"), *self.inputs(), "--db", "none")
        self.assertTrue(self.run_json(*run, LATHE_TARGET="interpret")["steps"])
        document = self.run_json("bench", "--problem", PROBLEM, "--db", "none", status=2, LATHE_TARGET="interpret")
        self.assertIn("forced by LATHE_TARGET", document["error"]["message"])

    def test_a_named_file_that_is_no_store_stays_as_it_is(self):
        """Whoever runs with defaults because of it says so, once."""
        self.write("config.json", "{}\n")
        for name, says in (("config.json", "is no store"), ("none.db", "there is no store")):
            db = self.path(name)
            for arguments in (("run", self.path("block.lir"), *self.inputs()),
                              ("bench", "--problem", PROBLEM, "--threads", "1", "--seconds", "0.05")):
                before = self.look()
                out, err = self.start("--json", *arguments, "--db", db).communicate(timeout=PATIENCE_S)
                self.assertIn("{", out)
                self.assertIn(says, err)
                self.assertIn("default", err)
                self.assertEqual(err.count(db), 1, err)
                self.assertEqual(self.look(), before)

    def test_nothing_is_said_of_a_cache_folder_without_a_store(self):
        out, err = self.start("--json", "run", self.path("block.lir"), *self.inputs()).communicate(timeout=PATIENCE_S)
        self.assertIn("{", out)
        self.assertEqual(err, "")
        self.assertFalse(os.path.exists(self.path("cache")))

    def test_bench_needs_no_store(self):
        file = self.write("file", "")
        out, err = self.start("--json", "bench", "--problem", PROBLEM, "--threads", "1", "--seconds", "0.05",
                              XDG_CACHE_HOME=file).communicate(timeout=PATIENCE_S)
        self.assertEqual(json.loads(out)["match"], "default")
        self.assertIn(file, err)

    def test_errors_go_to_standard_error_in_words(self):
        for arguments in (("check", self.path("missing.lir")), ("emit", "--problem", "rms_norm"), ("--wat",)):
            process = self.start(*arguments)
            out, err = process.communicate(timeout=PATIENCE_S)
            self.assertEqual((process.returncode, out), (2, ""), arguments)
            self.assertTrue(err.startswith("lathe: "), err)
            self.assertEqual(len(err.splitlines()), 1, err)

    def test_catalog_lists_every_family(self):
        families = {family["family"]: family for family in self.run_json("catalog")["families"]}
        for name in FAMILIES:
            self.assertIn(name, families)
            self.run_json("emit", "--problem", families[name]["example"], "--as", "plan")

    def test_bad_input_is_an_error_that_says_so(self):
        block, inputs = self.path("block.lir"), self.inputs()
        broken = self.write("broken.lir", GRAPH.replace("%s = silu(%n)", "%s = silu(%n"))
        unknown = self.write("unknown.lir", GRAPH.replace("silu", "sigh"))
        shapes = self.write("shapes.lir", GRAPH.replace("%w: f32[72]", "%w: f32[71]"))
        letters = random.Random(5)
        noise = self.write("noise.lir", "".join(chr(letters.randrange(1, 256)) for _ in range(999)))
        write_npy(self.path("wrong.npy"), (5, 71), [0.0] * 355)
        for arguments, says in (
                (("check", broken), ("broken.lir", "3:")),
                (("check", unknown), ("unknown.lir", "3:", "sigh")),
                (("check", shapes), ("shapes.lir", "71", "72")),
                (("check", self.path("missing.lir")), ("missing.lir",)),
                (("check", self.folder), (self.folder, "folder")),
                (("check", noise), ("noise.lir", "1:")),
                (("chekc", block), ("chekc", "check")),
                (("check", block, "--no-such-flag"), ("--no-such-flag",)),
                (("run", block), ("%x", "--in")),
                (("run", block, "--in", f"x={self.path('wrong.npy')}", *inputs[2:]), ("71", "72")),
                (("run", block, *inputs, "--out", "z=z.npy"), ("%z",)),
                (("run", block, *inputs, "--target", "mmx"), ("mmx",)),
                (("emit", "--problem", "rms_norm rows=8 width=72 colour=red", "--as", "plan"), ("colour",)),
                (("emit", "--problem", "rms_norm rows=8", "--as", "plan"), ("width",)),
                (("emit", "--problem", "rms_nrm rows=8 width=72"), ("rms_nrm", "rms_norm")),
                (("emit", "--problem", PROBLEM, "--as", "poem"), ("poem", "plan")),
                (("emit", "--problem", PROBLEM, "--target", "mmx"), ("mmx", "avx2")),
                (("emit", "--problem", PROBLEM, "--target", "avx2", "--cpu", "i8080"), ("i8080", "haswell")),
                (("emit", "--problem", PROBLEM, "--cpu", "i8080"), ("i8080", "haswell")),
                (("emit", "--problem", PROBLEM, "--as", "plan", "--schedule", "unroll=99"),
                 ("--schedule", "unroll", "99", "expected one of 1,")),
                (("emit", "--problem", PROBLEM, "--schedule", "hodl=buffer"), ("--schedule", "hodl", "'hold'", "accumulators")),
                (("emit", "--problem", PROBLEM, "--schedule", "unroll"), ("--schedule", "knob=value", "accumulators")),
                (("emit", "--problem", PROBLEM, "--schedule", "unroll=1,unroll=2"), ("--schedule", "unroll", "twice")),
                (("emit", "--problem", PROBLEM, "--target", "avx2", "--schedule", "unroll=1,accumulators=2"),
                 ("--schedule", "one place for each accumulator", "set unroll=2", "or accumulators=1")),
                (("bench", "--problem", PROBLEM, "--schedule", "colour=red"), ("--schedule", "colour", "accumulators")),
                (("run", block, *inputs, "--schedule", "unroll=1"), ("--schedule", "lathe bench")),
                (("bench", "--problem", PROBLEM, "--cache", "tepid"), ("tepid", "cold")),
                (("bench", "--problem", PROBLEM, "--device", "cuda"), ("cuda", "cpu")),
                ((), ())):
            with self.subTest(arguments=arguments):
                self.assert_error(*arguments, says=says)


if __name__ == "__main__":
    unittest.main()
