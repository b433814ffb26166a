import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("evaluations", "0001_create_figures")]

    operations = [
        migrations.CreateModel(
            name="FamilyComparison",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("baseline_digest", models.CharField(max_length=64)),
                ("candidate_digest", models.CharField(max_length=64)),
                (
                    "documents",
                    models.CharField(
                        choices=[("all", "All"), ("seen", "Seen"), ("unseen", "Unseen")],
                        max_length=8,
                    ),
                ),
                ("num_tests", models.PositiveSmallIntegerField()),
                ("version", models.PositiveSmallIntegerField()),
                ("figures", models.JSONField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "baseline_digest",
                            "candidate_digest",
                            "documents",
                            "num_tests",
                            "version",
                        ),
                        name="family_comparison_unique",
                    )
                ],
            },
        ),
    ]
