from django.db import migrations, models

import studio.registry.models


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_checkpoints")]

    operations = [
        migrations.AlterField(
            model_name="checkpoint",
            name="kind",
            field=models.CharField(choices=studio.registry.models.checkpoint_kinds, max_length=20),
        ),
    ]
