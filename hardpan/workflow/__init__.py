"""The one place where both wings meet: build -> boot -> scan -> sign -> verify."""
