"""Which category each subject of the exam benchmarks belongs to.

Retention is reported for each category and resampled by subject, so the names must be those the
benchmarks publish. Sources: C-Eval `subject_mapping.json`, CMMLU `src/categories.py` (a subject's
first subcategory), LawBench's list of tasks, and for MMLU the groups of lm-evaluation-harness,
which is what scores it here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


def _by_subject(groups: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(
        {subject: group for group, subjects in groups.items() for subject in subjects.split()}
    )


CEVAL = _by_subject(
    {
        "STEM": (
            "computer_network operating_system computer_architecture college_programming "
            "college_physics college_chemistry advanced_mathematics probability_and_statistics "
            "discrete_mathematics electrical_engineer metrology_engineer high_school_mathematics "
            "high_school_physics high_school_chemistry high_school_biology "
            "middle_school_mathematics middle_school_biology middle_school_physics "
            "middle_school_chemistry veterinary_medicine"
        ),
        "Social Science": (
            "college_economics business_administration marxism mao_zedong_thought "
            "education_science teacher_qualification high_school_politics high_school_geography "
            "middle_school_politics middle_school_geography"
        ),
        "Humanities": (
            "modern_chinese_history ideological_and_moral_cultivation logic law "
            "chinese_language_and_literature art_studies professional_tour_guide "
            "legal_professional high_school_chinese high_school_history middle_school_history"
        ),
        "Other": (
            "civil_servant sports_science plant_protection basic_medicine clinical_medicine "
            "urban_and_rural_planner accountant fire_engineer "
            "environmental_impact_assessment_engineer tax_accountant physician"
        ),
    }
)
"""52 subjects."""

CMMLU = _by_subject(
    {
        "STEM": (
            "anatomy astronomy college_actuarial_science college_engineering_hydrology "
            "college_mathematics college_medical_statistics computer_science conceptual_physics "
            "electrical_engineering elementary_mathematics genetics high_school_biology "
            "high_school_chemistry high_school_mathematics high_school_physics machine_learning "
            "virology"
        ),
        "Humanities": (
            "arts chinese_history chinese_literature college_law global_facts international_law "
            "jurisprudence logical marxist_theory philosophy professional_law world_history "
            "world_religions"
        ),
        "Social Science": (
            "ancient_chinese business_ethics chinese_civil_service_exam chinese_food_culture "
            "chinese_foreign_policy chinese_teacher_qualification college_education economics "
            "education elementary_chinese ethnology high_school_geography high_school_politics "
            "journalism management marketing modern_chinese professional_accounting "
            "professional_psychology public_relations security_study sociology"
        ),
        "Other": (
            "agronomy chinese_driving_rule clinical_knowledge college_medicine computer_security "
            "construction_project_management elementary_commonsense "
            "elementary_information_and_technology food_science human_sexuality "
            "legal_and_moral_basis nutrition professional_medicine sports_science "
            "traditional_chinese_medicine"
        ),
    }
)
"""67 subjects."""

MMLU = _by_subject(
    {
        "STEM": (
            "abstract_algebra anatomy astronomy college_biology college_chemistry "
            "college_computer_science college_mathematics college_physics computer_security "
            "conceptual_physics electrical_engineering elementary_mathematics "
            "high_school_biology high_school_chemistry high_school_computer_science "
            "high_school_mathematics high_school_physics high_school_statistics machine_learning"
        ),
        "Humanities": (
            "formal_logic high_school_european_history high_school_us_history "
            "high_school_world_history international_law jurisprudence logical_fallacies "
            "moral_disputes moral_scenarios philosophy prehistory professional_law "
            "world_religions"
        ),
        "Social Sciences": (
            "econometrics high_school_geography high_school_government_and_politics "
            "high_school_macroeconomics high_school_microeconomics high_school_psychology "
            "human_sexuality professional_psychology public_relations security_studies sociology "
            "us_foreign_policy"
        ),
        "Other": (
            "business_ethics clinical_knowledge college_medicine global_facts human_aging "
            "management marketing medical_genetics miscellaneous nutrition "
            "professional_accounting professional_medicine virology"
        ),
    }
)
"""57 subjects."""


class LawBenchTask(NamedTuple):
    """What LawBench says of one of its tasks."""

    level: str
    metric: str
    """By which LawBench scores it; only ROUGE-L is one of ours."""


_MEMORY, _UNDERSTANDING, _APPLYING = "memorization", "understanding", "applying"
LAWBENCH: Mapping[str, LawBenchTask] = MappingProxyType(
    {
        "1-1": LawBenchTask(_MEMORY, "ROUGE-L"),
        "1-2": LawBenchTask(_MEMORY, "Accuracy"),
        "2-1": LawBenchTask(_UNDERSTANDING, "F0.5"),
        "2-2": LawBenchTask(_UNDERSTANDING, "F1"),
        "2-3": LawBenchTask(_UNDERSTANDING, "F1"),
        "2-4": LawBenchTask(_UNDERSTANDING, "Accuracy"),
        "2-5": LawBenchTask(_UNDERSTANDING, "rc-F1"),
        "2-6": LawBenchTask(_UNDERSTANDING, "soft-F1"),
        "2-7": LawBenchTask(_UNDERSTANDING, "ROUGE-L"),
        "2-8": LawBenchTask(_UNDERSTANDING, "Accuracy"),
        "2-9": LawBenchTask(_UNDERSTANDING, "F1"),
        "2-10": LawBenchTask(_UNDERSTANDING, "soft-F1"),
        "3-1": LawBenchTask(_APPLYING, "F1"),
        "3-2": LawBenchTask(_APPLYING, "ROUGE-L"),
        "3-3": LawBenchTask(_APPLYING, "F1"),
        "3-4": LawBenchTask(_APPLYING, "Normalized log-distance"),
        "3-5": LawBenchTask(_APPLYING, "Normalized log-distance"),
        "3-6": LawBenchTask(_APPLYING, "Accuracy"),
        "3-7": LawBenchTask(_APPLYING, "Accuracy"),
        "3-8": LawBenchTask(_APPLYING, "ROUGE-L"),
    }
)
"""20 tasks by number, which is the name of the task's file."""
