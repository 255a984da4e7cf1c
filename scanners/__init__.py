"""The second river: target -> collect -> evaluate -> findings -> report -> sign -> verify."""
