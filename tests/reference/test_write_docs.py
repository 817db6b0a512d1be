from conftest import ROOT, run_script


def test_the_pages_are_what_the_code_says(tmp_path):
    run_script("docs", "--docs", tmp_path)
    for page in tmp_path.iterdir():
        assert (ROOT / "docs/reference" / page.name).read_text() == page.read_text(), f"{page.name}: run make docs"
