UV_COMPILE := uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url \
	--custom-compile-command 'make requirements' pyproject.toml
requirements:
	$(UV_COMPILE) --output-file requirements.txt
	$(UV_COMPILE) --extra dev --constraints requirements.txt --output-file requirements-dev.txt
